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
