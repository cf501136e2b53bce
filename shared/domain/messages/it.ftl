life = { $minutes ->
        [0] { $seconds } secondi
        [one] 1 minuto
       *[other] { $minutes } minuti
    }
life-short = { $minutes ->
        [0] { $seconds } s
       *[other] { $minutes } min
    }
sms = { $code } è il tuo codice { $brand }. Scade tra { life }. Non condividerlo.
sms-short = Codice { $brand }: { $code }, valido { life-short }
email-subject = Il tuo codice { $brand }
email-intro = Inserisci questo codice per continuare con { $brand }:
email-expiry = Scade tra { life }.
email-warning = Non condividerlo con nessuno. Se non l’hai richiesto, puoi ignorare questo messaggio.

step-up-action = per confermare, non per accedere
step-up-action-short = { step-up-action }
sms-step-up = { $code } è il tuo codice { $brand } { $action }. Non condividerlo.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = Conferma su { $brand }
email-step-up-intro = Il tuo codice { $brand } { $action }:
