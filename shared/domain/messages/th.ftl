life = { $minutes ->
        [0] { $seconds } วินาที
       *[other] { $minutes } นาที
    }
life-short = { life }
sms = { $code } คือรหัส { $brand } ของคุณ หมดอายุใน { life } ห้ามบอกผู้อื่น
sms-short = รหัส { $brand }: { $code } ใช้ได้ { life-short }
email-subject = รหัส { $brand } ของคุณ
email-intro = กรอกรหัสนี้เพื่อดำเนินการต่อกับ { $brand }:
email-expiry = รหัสนี้หมดอายุใน { life }
email-warning = ห้ามบอกรหัสนี้แก่ผู้อื่น หากคุณไม่ได้ขอรหัสนี้ โปรดเพิกเฉยต่อข้อความนี้

step-up-action = เพื่อยืนยันรายการ ไม่ใช่เพื่อเข้าสู่ระบบ
step-up-action-short = ใช้ยืนยัน ไม่ใช่ล็อกอิน
sms-step-up = { $code } คือรหัส { $brand } { $action } ห้ามบอกผู้อื่น
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = ยืนยันรายการกับ { $brand }
email-step-up-intro = รหัส { $brand } ของคุณ { $action }:
