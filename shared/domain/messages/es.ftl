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
