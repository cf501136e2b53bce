sms = { $code } est votre code { $brand }. Il expire dans { $minutes ->
        [0] { $seconds } secondes
        [one] { $minutes } minute
       *[other] { $minutes } minutes
    }. Ne le partagez pas.
sms-short = Code { $brand } : { $code }
email-subject = Votre code { $brand }
email-intro = Saisissez ce code pour continuer avec { $brand } :
email-expiry = Il expire dans { $minutes ->
        [0] { $seconds } secondes
        [one] { $minutes } minute
       *[other] { $minutes } minutes
    }.
email-warning = Ne le partagez avec personne. Si vous ne l’avez pas demandé, vous pouvez ignorer ce message.

# The code of a step-up. $action says what it allows: the app's own text, or one of these two.
step-up-action = pour confirmer, pas pour se connecter
step-up-action-short = { step-up-action }
sms-step-up = { $code } est votre code { $brand } { $action }. Ne le partagez pas.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = Confirmez chez { $brand }
email-step-up-intro = Votre code { $brand } { $action } :
