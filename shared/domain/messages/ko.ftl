life = { $minutes ->
        [0] { $seconds }초
       *[other] { $minutes }분
    }
life-short = { life }
sms = { $brand } 인증번호는 { $code }입니다. { life }간 유효합니다. 공유하지 마세요.
sms-short = { $brand } 인증번호: { $code } ({ life-short }간 유효)
email-subject = { $brand } 인증번호
email-intro = { $brand }에서 계속하려면 다음 인증번호를 입력하세요:
email-expiry = 인증번호는 { life }간 유효합니다.
email-warning = 누구에게도 알려 주지 마세요. 요청하지 않으셨다면 이 메시지를 무시하세요.

step-up-action = 작업 확인용, 로그인용 아님
step-up-action-short = { step-up-action }
sms-step-up = { $brand } 인증번호는 { $code }입니다({ $action }). 공유하지 마세요.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = { $brand } 작업 확인
email-step-up-intro = { $brand } 인증번호({ $action }):
