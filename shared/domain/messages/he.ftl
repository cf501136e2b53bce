life = { $minutes ->
        [0] { $seconds } שניות
        [one] דקה אחת
        [two] שתי דקות
       *[other] { $minutes } דקות
    }
life-short = { life }
sms = { $code } הוא הקוד שלך ב-{ $brand }. תקף למשך { life }. אין לשתף אותו.
sms-short = קוד { $brand }: { $code }, תקף למשך { life-short }
email-subject = הקוד שלך ב-{ $brand }
email-intro = יש להזין קוד זה כדי להמשיך ב-{ $brand }:
email-expiry = הקוד תקף למשך { life }.
email-warning = אין לשתף אותו עם איש. אם לא ביקשת אותו, אפשר להתעלם מהודעה זו.

step-up-action = לאישור פעולה, לא לכניסה
step-up-action-short = { step-up-action }
sms-step-up = { $code } הוא הקוד שלך ב-{ $brand } { $action }. אין לשתף אותו.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = אישור פעולה ב-{ $brand }
email-step-up-intro = הקוד שלך ב-{ $brand } { $action }:
