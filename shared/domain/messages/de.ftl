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
