life = { $minutes ->
        [0] { $seconds }秒
       *[other] { $minutes }分钟
    }
life-short = { life }
sms = { $code }是您的{ $brand }验证码，{ life }内有效，请勿告诉他人。
sms-short = { $brand }验证码：{ $code }（{ life-short }内有效）
email-subject = 您的{ $brand }验证码
email-intro = 请输入此验证码，继续使用{ $brand }：
email-expiry = 验证码在{ life }内有效。
email-warning = 请勿告诉他人。如果您没有请求此验证码，请忽略本消息。

step-up-action = 仅用于确认操作，不可用于登录
step-up-action-short = { step-up-action }
sms-step-up = { $code }是您的{ $brand }验证码，{ $action }，请勿告诉他人。
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = 在{ $brand }确认操作
email-step-up-intro = 您的{ $brand }验证码，{ $action }：
