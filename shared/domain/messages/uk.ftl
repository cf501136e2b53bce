life = { $minutes ->
        [0] { $seconds ->
            [one] { $seconds } секунду
            [few] { $seconds } секунди
           *[other] { $seconds } секунд
        }
        [one] { $minutes } хвилину
        [few] { $minutes } хвилини
       *[other] { $minutes } хвилин
    }
life-short = { $minutes ->
        [0] { $seconds } с
       *[other] { $minutes } хв
    }
sms = { $code } — код { $brand }. Діє { life }. Нікому не повідомляйте.
sms-short = Код { $brand }: { $code }, діє { life-short }
email-subject = Ваш код { $brand }
email-intro = Введіть цей код, щоб продовжити в { $brand }:
email-expiry = Код діє { life }.
email-warning = Нікому його не повідомляйте. Якщо ви його не запитували, не зважайте на це повідомлення.

step-up-action = для підтвердження, не для входу
step-up-action-short = для операції, не входу
sms-step-up = { $code } — код { $brand } { $action }. Нікому не повідомляйте.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = Підтвердження в { $brand }
email-step-up-intro = Ваш код { $brand } { $action }:
