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

# The code of a step-up. $action says what it allows: the app's own text, or one of these two.
step-up-action = to confirm an action, not to sign in
step-up-action-short = { step-up-action }
sms-step-up = { $code } is your { $brand } code { $action }. Do not share it.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = Confirm with { $brand }
email-step-up-intro = Your { $brand } code { $action }:
