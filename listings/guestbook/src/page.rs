//! The page, and the form that comes back.

/// Longest remark, in characters.
const MAX_REMARK: usize = 1000;

/// The page, as UTF-8: so many visitors, and these remarks.
pub fn render(visitors: i64, remarks: &[Vec<u8>]) -> Vec<u8> {
    let mut page = String::with_capacity(1024);
    page.push_str(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Guestbook</title>\n</head>\n<body>\n\
         <h1>Guestbook</h1>\n",
    );
    page.push_str(&format!("<p>You are visitor {visitors}.</p>\n"));
    page.push_str(
        "<form method=\"post\" action=\"/guestbook\">\n<label>Your remark <input name=\"remark\" maxlength=\"1000\" required>\
         </label>\n<button>Add</button>\n</form>\n<ul>\n",
    );
    for remark in remarks {
        page.push_str("<li>");
        escape(&String::from_utf8_lossy(remark), &mut page);
        page.push_str("</li>\n");
    }
    page.push_str("</ul>\n</body>\n</html>\n");
    page.into_bytes()
}

/// Text as HTML: what a guest writes is shown, not executed.
// ANCHOR: escape
fn escape(text: &str, page: &mut String) {
    for c in text.chars() {
        match c {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            _ => page.push(c),
        }
    }
}
// ANCHOR_END: escape

/// The remark in a form's body; `Err` is the status that refuses it.
pub(crate) fn remark(content_type: Option<&str>, body: &[u8]) -> Result<String, u16> {
    let media =
        content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(415);
    }
    let field = form_urlencoded::parse(body).find(|(name, _)| name == "remark");
    let remark = field.map(|(_, value)| value.trim().to_owned()).unwrap_or_default();
    if is_remark(&remark) { Ok(remark) } else { Err(400) }
}

/// Whether it is kept: something, and not too much.
pub fn is_remark(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= MAX_REMARK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_writes_is_text() {
        let page = String::from_utf8(render(
            3,
            &[b"<script>alert('&')</script>\"".to_vec(), b"&lt;".to_vec(), vec![0xff]],
        ))
        .expect("UTF-8");
        assert!(page.contains("visitor 3"));
        assert!(
            page.contains(
                "<li>&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;&quot;</li>"
            ),
            "{page}"
        );
        assert!(page.contains("<li>&amp;lt;</li>"), "{page}");
        assert!(page.contains("<li>\u{fffd}</li>"));
    }

    #[test]
    fn a_remark_is_a_form_field_of_reasonable_length() {
        let form = Some("application/x-www-form-urlencoded; charset=UTF-8");
        assert_eq!(
            remark(form, b"a=1&remark=h%C3%A9llo+there%21&b"),
            Ok("h\u{e9}llo there!".into())
        );
        assert_eq!(remark(form, b"remark="), Err(400));
        assert_eq!(remark(form, b"remark=+%20"), Err(400));
        assert_eq!(remark(form, b"other=1"), Err(400));
        assert_eq!(
            remark(form, format!("remark={}", "x".repeat(1001)).as_bytes()),
            Err(400)
        );
        assert_eq!(
            remark(form, format!("remark={}", "x".repeat(1000)).as_bytes()),
            Ok("x".repeat(1000))
        );
        assert_eq!(remark(Some("text/plain"), b"remark=a"), Err(415));
        assert_eq!(remark(None, b"remark=a"), Err(415));
    }
}
