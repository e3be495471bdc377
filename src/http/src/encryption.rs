//! What is answered to a request that must be encrypted and is not.

use crate::client::Client;
use crate::origin::Origin;
use crate::request::Request;
use crate::response::{Response, TEXT};
use crate::status::Status;
use tls::{Acceptor, TlsRequired};

/// With a certificate, a connection can be encrypted.
#[derive(Clone, Debug)]
pub struct Encryption {
    pub acceptor: Acceptor,
    pub required: TlsRequired,
}

/// Sends a browser to the same page over TLS, and refuses what cannot be repeated there. `None`: it is served. `url` is
/// the address of this server.
pub(crate) fn refusal(
    encryption: Option<&Encryption>,
    url: Option<&Origin>,
    client: &Client,
    request: &Request,
) -> Option<Response> {
    let required = encryption?.required;
    if client.is_encrypted || !required.refuses_plain(client.is_near) {
        return None;
    }
    let base = match url.filter(|url| url.is_secure()) {
        Some(url) => Some(url.to_string()),
        // The port is the same: the first byte of a connection tells whether it is TLS.
        None => (!request.host.is_empty()).then(|| format!("https://{}", request.host)),
    };
    Some(match base {
        Some(base) if request.method.is_safe() => {
            Response::plain(Status::PermanentRedirect).with("Location", base + &request.target)
        }
        _ => Response::new(Status::Forbidden, TEXT, "This server accepts such requests only over HTTPS.\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Fields;
    use crate::request::Method;
    use rcgen::{CertificateParams, KeyPair};
    use tls::Identity;

    fn acceptor() -> Acceptor {
        let key = KeyPair::generate().unwrap();
        let pem = CertificateParams::new(vec!["h".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        Acceptor::new(Identity::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap()).unwrap()
    }

    fn request(method: Method, host: &str) -> Request {
        Request {
            method,
            path: "/a b".to_owned(),
            target: "/a%20b?c".to_owned(),
            host: host.to_owned(),
            websocket: None,
            has_body: false,
            forwarded_for: String::new(),
            keeps_alive: true,
            expects_continue: false,
            wants_json: false,
            fields: Fields::default(),
        }
    }

    #[test]
    fn who_must_use_tls_is_sent_there() {
        let acceptor = acceptor();
        let answered = |required, is_near, is_encrypted, url: Option<&str>, request: &Request| {
            let encryption = Encryption { acceptor: acceptor.clone(), required };
            let address = "192.0.2.1:1".parse().unwrap();
            let client = Client { address, is_near, is_encrypted };
            let url: Option<Origin> = url.map(|url| url.parse().unwrap());
            refusal(Some(&encryption), url.as_ref(), &client, request)
        };
        let get = request(Method::Get, "chat.example:6080");
        for (required, is_near, is_encrypted, is_refused) in [
            (TlsRequired::Remote, false, false, true),
            (TlsRequired::Remote, true, false, false),
            (TlsRequired::Remote, false, true, false),
            (TlsRequired::Always, true, false, true),
            (TlsRequired::Always, true, true, false),
            (TlsRequired::Never, false, false, false),
        ] {
            let answer = answered(required, is_near, is_encrypted, None, &get);
            assert_eq!(answer.is_some(), is_refused, "{required:?} {is_near} {is_encrypted}");
        }
        let always =
            |url, request: &Request| answered(TlsRequired::Always, false, false, url, request).unwrap();
        let location = |answer: &Response| match &answer.fields[..] {
            [("Location", to)] => to.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(location(&always(None, &get)), "https://chat.example:6080/a%20b?c");
        assert_eq!(location(&always(Some("https://x.example"), &get)), "https://x.example/a%20b?c");
        // An address without TLS is none to send anybody to.
        assert_eq!(location(&always(Some("http://x.example"), &get)), "https://chat.example:6080/a%20b?c");
        for other in [request(Method::Other, "chat.example"), request(Method::Get, "")] {
            let answer = always(None, &other);
            assert_eq!((answer.status, answer.fields), (Status::Forbidden, Vec::new()));
        }
    }
}
