life = { $minutes ->
        [0] { $seconds } सेकंड
       *[other] { $minutes } मिनट
    }
life-short = { life }
sms = { $code } आपका { $brand } कोड है। यह { life } तक मान्य है। साझा न करें।
sms-short = { $brand } कोड: { $code }, { life-short } तक मान्य
email-subject = आपका { $brand } कोड
email-intro = { $brand } के साथ आगे बढ़ने के लिए यह कोड दर्ज करें:
email-expiry = यह { life } में समाप्त हो जाएगा।
email-warning = इसे किसी के साथ साझा न करें। अगर आपने यह कोड नहीं माँगा था, तो इस संदेश को अनदेखा करें।

step-up-action = पुष्टि के लिए, साइन इन के लिए नहीं
# In Latin letters, which leave room for the line that fills in the code.
step-up-action-short = pushti ke liye, sign-in nahin
sms-step-up = { $code } { $brand } कोड है, { $action }। इसे साझा न करें।
sms-step-up-short = { $brand }: { $code } { $action }
email-step-up-subject = { $brand } पर पुष्टि करें
email-step-up-intro = आपका { $brand } कोड, { $action }:
