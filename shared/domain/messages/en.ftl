sms = { $code } is your { $brand } code. It expires in { $minutes ->
        [0] { $seconds } seconds
        [one] 1 minute
       *[other] { $minutes } minutes
    }. Do not share it.
sms-short = { $brand } code: { $code }
email-subject = Your { $brand } code
email-intro = Enter this code to continue with { $brand }:
email-expiry = It expires in { $minutes ->
        [0] { $seconds } seconds
        [one] 1 minute
       *[other] { $minutes } minutes
    }.
email-warning = Do not share it with anyone. If you did not ask for it, you can ignore this message.
