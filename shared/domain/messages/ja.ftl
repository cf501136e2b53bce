life = { $minutes ->
        [0] { $seconds }秒間
       *[other] { $minutes }分間
    }
life-short = { life }
sms = { $code }は{ $brand }の認証コードです。{ life }有効です。共有しないでください。
sms-short = { $brand }のコード: { $code }（{ life-short }有効）
email-subject = { $brand }の認証コード
email-intro = { $brand }で続けるには、次のコードを入力してください：
email-expiry = このコードは{ life }有効です。
email-warning = 誰にも教えないでください。心当たりがない場合は、このメッセージを無視してください。

step-up-action = 操作の確認用、ログイン用ではありません
step-up-action-short = { step-up-action }
sms-step-up = { $code }は{ $brand }のコードです（{ $action }）。共有しないでください。
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = { $brand }での操作の確認
email-step-up-intro = { $brand }のコード（{ $action }）：
