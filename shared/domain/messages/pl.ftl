life = { $minutes ->
        [0] { $seconds ->
            [few] { $seconds } sekundy
           *[other] { $seconds } sekund
        }
        [one] 1 minutę
        [few] { $minutes } minuty
       *[other] { $minutes } minut
    }
life-short = { $minutes ->
        [0] { $seconds } s
       *[other] { $minutes } min
    }
sms = { $code } to kod { $brand }. Wygasa za { life }. Nikomu go nie podawaj.
sms-short = Kod { $brand }: { $code }, wygasa za { life-short }
email-subject = Twój kod { $brand }
email-intro = Wpisz ten kod, aby kontynuować w { $brand }:
email-expiry = Kod wygasa za { life }.
email-warning = Nikomu go nie podawaj. Jeśli to nie Twoja prośba, możesz zignorować tę wiadomość.

step-up-action = do potwierdzenia, nie do logowania
step-up-action-short = { step-up-action }
sms-step-up = { $code } to kod { $brand } { $action }. Nikomu go nie podawaj.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = Potwierdź w { $brand }
email-step-up-intro = Twój kod { $brand } { $action }:
