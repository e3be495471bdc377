//! Encryption with a server's public key, for a password that is sent without TLS.

use super::error::ClientError;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

/// Encrypts by RSA-OAEP with SHA-1, which the protocol demands. `key` is PEM, as the server sends it.
pub fn encrypt(key: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, ClientError> {
    let unusable = || ClientError::protocol("the public key that it sent cannot be used");
    let key = SubjectPublicKeyInfoDer::from_pem_slice(key).map_err(|_| unusable())?;
    let key = PublicEncryptingKey::from_der(&key).map_err(|_| unusable())?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| unusable())?;
    let mut ciphertext = vec![0; key.ciphertext_size()];
    let written = key.encrypt(&OAEP_SHA1_MGF1SHA1, plaintext, &mut ciphertext, None);
    let length = written.map_err(|_| unusable())?.len();
    ciphertext.truncate(length);
    Ok(ciphertext)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    fn pem(der: &[u8]) -> String {
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    #[test]
    fn only_the_private_key_reads_what_was_encrypted() {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let public: PublicKeyX509Der<'_> = private.public_key().as_der().unwrap();
        let ciphertext = encrypt(pem(public.as_ref()).as_bytes(), b"secret\0").unwrap();
        let private = OaepPrivateDecryptingKey::new(private).unwrap();
        let mut plaintext = vec![0; private.min_output_size()];
        let read = private.decrypt(&OAEP_SHA1_MGF1SHA1, &ciphertext, &mut plaintext, None).unwrap();
        assert_eq!(read, b"secret\0");
    }

    #[test]
    fn an_unusable_key_or_a_password_that_is_too_long_is_an_error() {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let public: PublicKeyX509Der<'_> = private.public_key().as_der().unwrap();
        let good = pem(public.as_ref());
        assert!(encrypt(good.as_bytes(), &[b'x'; 215]).is_err());
        assert!(encrypt(&good.as_bytes()[..good.len() / 2], b"x").is_err());
        for key in [
            "",
            "no key",
            "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n",
            &pem(b"\x30\x03\x02\x01\x01"),
        ] {
            assert!(encrypt(key.as_bytes(), b"x").is_err(), "{key}");
        }
    }
}
