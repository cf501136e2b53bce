life = { $minutes ->
        [0] { $seconds } giây
       *[other] { $minutes } phút
    }
# The short texts are without tone marks, as text messages in Vietnamese often are: GSM-7 has few of
# the marked letters.
life-short = { $minutes ->
        [0] { $seconds } giay
       *[other] { $minutes } phut
    }
sms = { $code } là mã { $brand } của bạn. Hết hạn sau { life }. Đừng chia sẻ.
sms-short = Ma { $brand }: { $code }, hieu luc { life-short }
email-subject = Mã { $brand } của bạn
email-intro = Nhập mã này để tiếp tục với { $brand }:
email-expiry = Mã hết hạn sau { life }.
email-warning = Đừng chia sẻ mã với bất kỳ ai. Nếu bạn không yêu cầu mã, hãy bỏ qua tin nhắn này.

step-up-action = để xác nhận, không phải để đăng nhập
step-up-action-short = de xac nhan, khong de dang nhap
sms-step-up = { $code } là mã { $brand } { $action }. Đừng chia sẻ.
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = Xác nhận với { $brand }
email-step-up-intro = Mã { $brand } của bạn { $action }:
