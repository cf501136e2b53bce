life = { $minutes ->
        [0] { $seconds } segundos
        [one] 1 minuto
       *[other] { $minutes } minutos
    }
life-short = { $minutes ->
        [0] { $seconds } s
       *[other] { $minutes } min
    }
sms = { $code } es tu clave de { $brand }. Vence en { life }. No la compartas.
sms-short = { $brand }: { $code }, vence en { life-short }
email-subject = Tu código de { $brand }
email-intro = Introduce este código para continuar con { $brand }:
email-expiry = Vence en { life }.
email-warning = No lo compartas con nadie. Si no lo has pedido, puedes ignorar este mensaje.

step-up-action = para confirmar, no para entrar
step-up-action-short = { step-up-action }
sms-step-up = { $code } es tu clave de { $brand } { $action }. No la compartas.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = Confirma en { $brand }
email-step-up-intro = Tu clave de { $brand } { $action }:
