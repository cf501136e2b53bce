life = { $minutes ->
        [0] { $seconds } seconden
        [one] 1 minuut
       *[other] { $minutes } minuten
    }
life-short = { $minutes ->
        [0] { $seconds } s
       *[other] { $minutes } min
    }
sms = { $code } is je code voor { $brand }. Hij verloopt over { life }. Deel hem niet.
sms-short = Code { $brand }: { $code }, geldig { life-short }
email-subject = Je code voor { $brand }
email-intro = Voer deze code in om verder te gaan bij { $brand }:
email-expiry = Hij verloopt over { life }.
email-warning = Deel hem met niemand. Heb je hem niet aangevraagd, dan kun je dit bericht negeren.

step-up-action = ter bevestiging, niet om in te loggen
step-up-action-short = { step-up-action }
sms-step-up = { $code } is je code bij { $brand } { $action }. Deel hem niet.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = Bevestig bij { $brand }
email-step-up-intro = Je code bij { $brand } { $action }:
