life = { $minutes ->
        [0] { $seconds } detik
       *[other] { $minutes } menit
    }
life-short = { life }
sms = { $code } adalah kode { $brand } Anda. Berlaku { life }. Jangan bagikan kepada siapa pun.
sms-short = Kode { $brand }: { $code }, berlaku { life-short }
email-subject = Kode { $brand } Anda
email-intro = Masukkan kode ini untuk melanjutkan di { $brand }:
email-expiry = Kode ini berlaku selama { life }.
email-warning = Jangan bagikan kepada siapa pun. Jika Anda tidak memintanya, abaikan pesan ini.

step-up-action = untuk konfirmasi, bukan untuk masuk
step-up-action-short = { step-up-action }
sms-step-up = { $code } adalah kode { $brand } Anda { $action }. Jangan bagikan kepada siapa pun.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = Konfirmasi di { $brand }
email-step-up-intro = Kode { $brand } Anda { $action }:
