# How long the code lives, for the messages below.
life = { $minutes ->
        [0] { $seconds } seconds
        [one] 1 minute
       *[other] { $minutes } minutes
    }
life-short = { $minutes ->
        [0] { $seconds } s
       *[other] { $minutes } min
    }
sms = { $code } is your { $brand } code. It expires in { life }. Do not share it.
# Where `sms` is more than one segment. 26 UTF-16 units besides the brand and the code leave room for
# both and for the line that fills in the code.
sms-short = { $brand } code: { $code }, valid for { life-short }
email-subject = Your { $brand } code
email-intro = Enter this code to continue with { $brand }:
email-expiry = It expires in { life }.
email-warning = Do not share it with anyone. If you did not ask for it, you can ignore this message.

# The code of a step-up. $action says what it allows: the app's own text, or one of these two.
step-up-action = to confirm an action, not to sign in
step-up-action-short = { step-up-action }
sms-step-up = { $code } is your { $brand } code { $action }. Do not share it.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = Confirm with { $brand }
email-step-up-intro = Your { $brand } code { $action }:
