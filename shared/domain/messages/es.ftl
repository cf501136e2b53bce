sms = { $code } es tu clave de { $brand }. Vence en { $minutes ->
        [0] { $seconds } segundos
        [one] 1 minuto
       *[other] { $minutes } minutos
    }. No la compartas.
sms-short = { $brand }: { $code }
email-subject = Tu código de { $brand }
email-intro = Introduce este código para continuar con { $brand }:
email-expiry = Vence en { $minutes ->
        [0] { $seconds } segundos
        [one] 1 minuto
       *[other] { $minutes } minutos
    }.
email-warning = No lo compartas con nadie. Si no lo has pedido, puedes ignorar este mensaje.

# The code of a step-up. $action says what it allows: the app's own text, or one of these two.
step-up-action = para confirmar, no para entrar
step-up-action-short = { step-up-action }
sms-step-up = { $code } es tu clave de { $brand } { $action }. No la compartas.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = Confirma en { $brand }
email-step-up-intro = Tu clave de { $brand } { $action }:
