life = { $minutes ->
        [0] { $seconds } segundos
        [one] { $minutes } minuto
       *[other] { $minutes } minutos
    }
life-short = { $minutes ->
        [0] { $seconds } s
       *[other] { $minutes } min
    }
# Without "código" and "não", whose letters GSM-7 does not have.
sms = Usa { $code } para continuar em { $brand }. Expira em { life }. Nunca o partilhes.
sms-short = { $brand }: { $code }, expira em { life-short }
email-subject = O teu código { $brand }
email-intro = Introduz este código para continuar com { $brand }:
email-expiry = Expira em { life }.
email-warning = Não o partilhes com ninguém. Se não o pediste, podes ignorar esta mensagem.

step-up-action = para confirmar, nunca para entrar
step-up-action-short = { step-up-action }
sms-step-up = { $code } é o teu código { $brand } { $action }. Não o partilhes.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = Confirma em { $brand }
email-step-up-intro = O teu código { $brand } { $action }:
