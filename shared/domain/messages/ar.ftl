life = { $minutes ->
        [0] { $seconds } ثانية
        [one] دقيقة واحدة
        [two] دقيقتين
        [few] { $minutes } دقائق
       *[other] { $minutes } دقيقة
    }
life-short = { life }
sms = { $code } هو رمز { $brand }. صالح لمدة { life }. لا تشاركه مع أحد.
sms-short = رمز { $brand }: { $code }، صالح { life-short }
email-subject = رمزك في { $brand }
email-intro = أدخل هذا الرمز للمتابعة في { $brand }:
email-expiry = الرمز صالح لمدة { life }.
email-warning = لا تشاركه مع أحد. إذا لم تطلبه، يمكنك تجاهل هذه الرسالة.

step-up-action = لتأكيد إجراء، لا لتسجيل الدخول
step-up-action-short = للتأكيد، لا للدخول
sms-step-up = { $code } هو رمز { $brand } { $action }. لا تشاركه.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = تأكيد إجراء في { $brand }
email-step-up-intro = رمزك في { $brand } { $action }:
