life = { $minutes ->
        [0] { $seconds } Sekunden
        [one] 1 Minute
       *[other] { $minutes } Minuten
    }
life-short = { $minutes ->
        [0] { $seconds } s
       *[other] { $minutes } min
    }
sms = { $code } ist dein Code für { $brand }. Er gilt { life }. Gib ihn nicht weiter.
sms-short = { $brand }-Code: { $code }, gilt { life-short }
email-subject = Dein Code für { $brand }
email-intro = Gib diesen Code ein, um bei { $brand } fortzufahren:
email-expiry = Er gilt { life }.
email-warning = Gib ihn niemandem weiter. Wenn du ihn nicht angefordert hast, kannst du diese Nachricht ignorieren.

step-up-action = zum Bestätigen, nicht zum Anmelden
step-up-action-short = { step-up-action }
sms-step-up = { $code } ist dein Code bei { $brand } { $action }. Gib ihn nicht weiter.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = Bestätige bei { $brand }
email-step-up-intro = Dein Code bei { $brand } { $action }:
