life = { $minutes ->
        [0] { $seconds } secondes
        [one] { $minutes } minute
       *[other] { $minutes } minutes
    }
life-short = { $minutes ->
        [0] { $seconds } s
       *[other] { $minutes } min
    }
sms = { $code } est votre code { $brand }. Il expire dans { life }. Ne le partagez pas.
sms-short = Code { $brand } : { $code }, valable { life-short }
email-subject = Votre code { $brand }
email-intro = Saisissez ce code pour continuer avec { $brand } :
email-expiry = Il expire dans { life }.
email-warning = Ne le partagez avec personne. Si vous ne l’avez pas demandé, vous pouvez ignorer ce message.

step-up-action = pour confirmer, pas pour se connecter
step-up-action-short = { step-up-action }
sms-step-up = { $code } est votre code { $brand } { $action }. Ne le partagez pas.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = Confirmez chez { $brand }
email-step-up-intro = Votre code { $brand } { $action } :
