life = { $minutes ->
        [0] { $seconds ->
            [one] { $seconds } секунду
            [few] { $seconds } секунды
           *[other] { $seconds } секунд
        }
        [one] { $minutes } минуту
        [few] { $minutes } минуты
       *[other] { $minutes } минут
    }
life-short = { $minutes ->
        [0] { $seconds } сек
       *[other] { $minutes } мин
    }
sms = { $code } — код { $brand }. Действует { life }. Никому не сообщайте.
sms-short = Код { $brand }: { $code }, действует { life-short }
email-subject = Ваш код { $brand }
email-intro = Введите этот код, чтобы продолжить в { $brand }:
email-expiry = Код действует { life }.
email-warning = Никому его не сообщайте. Если вы его не запрашивали, не обращайте внимания на это сообщение.

step-up-action = для подтверждения, не для входа
step-up-action-short = для операции, не входа
sms-step-up = { $code } — код { $brand } { $action }. Никому не сообщайте.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = Подтверждение в { $brand }
email-step-up-intro = Ваш код { $brand } { $action }:
