sms = { $code } é o teu código { $brand }. Não o partilhes.
sms-short = { $brand }: { $code }
email-subject = O teu código { $brand }
email-intro = Introduz este código para continuar com { $brand }:
email-expiry = Expira em { $minutes ->
        [0] { $seconds } segundos
        [one] { $minutes } minuto
       *[other] { $minutes } minutos
    }.
email-warning = Não o partilhes com ninguém. Se não o pediste, podes ignorar esta mensagem.
