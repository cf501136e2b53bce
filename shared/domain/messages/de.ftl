sms = { $code } ist dein Code für { $brand }. Er gilt { $minutes ->
        [0] { $seconds } Sekunden
        [one] 1 Minute
       *[other] { $minutes } Minuten
    }. Gib ihn nicht weiter.
sms-short = { $brand }-Code: { $code }
email-subject = Dein Code für { $brand }
email-intro = Gib diesen Code ein, um bei { $brand } fortzufahren:
email-expiry = Er gilt { $minutes ->
        [0] { $seconds } Sekunden
        [one] 1 Minute
       *[other] { $minutes } Minuten
    }.
email-warning = Gib ihn niemandem weiter. Wenn du ihn nicht angefordert hast, kannst du diese Nachricht ignorieren.

# The code of a step-up. $action says what it allows: the app's own text, or one of these two.
step-up-action = zum Bestätigen, nicht zum Anmelden
step-up-action-short = { step-up-action }
sms-step-up = { $code } ist dein Code bei { $brand } { $action }. Gib ihn nicht weiter.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = Bestätige bei { $brand }
email-step-up-intro = Dein Code bei { $brand } { $action }:
