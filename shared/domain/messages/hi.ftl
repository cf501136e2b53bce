sms = { $code } आपका { $brand } कोड है। इसे साझा न करें।
sms-short = { $brand }: { $code }
email-subject = आपका { $brand } कोड
email-intro = { $brand } के साथ आगे बढ़ने के लिए यह कोड दर्ज करें:
email-expiry = यह { $minutes ->
        [0] { $seconds } सेकंड
       *[other] { $minutes } मिनट
    } में समाप्त हो जाएगा।
email-warning = इसे किसी के साथ साझा न करें। अगर आपने यह कोड नहीं माँगा था, तो इस संदेश को अनदेखा करें।
