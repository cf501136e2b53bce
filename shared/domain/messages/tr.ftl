life = { $minutes ->
        [0] { $seconds } saniye
       *[other] { $minutes } dakika
    }
life-short = { $minutes ->
        [0] { $seconds } sn
       *[other] { $minutes } dk
    }
sms = { $code }, { $brand } kodunuz. Süresi { life } sonra dolar. Kimseye vermeyin.
sms-short = { $brand } kodu: { $code }, süresi { life-short }
email-subject = { $brand } kodunuz
email-intro = { $brand } ile devam etmek için bu kodu girin:
email-expiry = Kodun süresi { life } sonra dolar.
email-warning = Kimseyle paylaşmayın. Bu kodu siz istemediyseniz bu mesajı dikkate almayın.

step-up-action = onay için, giriş için değil
step-up-action-short = onay için, giriş değil
sms-step-up = { $code }, { $brand } kodunuz: { $action }. Kimseye vermeyin.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = { $brand } işlem onayı
email-step-up-intro = { $brand } kodunuz, { $action }:
