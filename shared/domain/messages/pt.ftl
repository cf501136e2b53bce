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

# The code of a step-up. $action says what it allows: the app's own text, or one of these two.
step-up-action = para confirmar, nunca para entrar
step-up-action-short = { step-up-action }
sms-step-up = { $code } é o teu código { $brand } { $action }. Não o partilhes.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = Confirma em { $brand }
email-step-up-intro = O teu código { $brand } { $action }:
