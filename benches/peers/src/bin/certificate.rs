//! Makes the key (ECDSA, P-256) and the self-signed certificate of the servers with TLS:
//! `certificate CERTIFICATE KEY` writes both as PEM.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [certificate, key] = &words[..] else {
        return Err("usage: certificate CERTIFICATE KEY".into());
    };
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    std::fs::write(certificate, made.cert.pem())?;
    std::fs::write(key, made.signing_key.serialize_pem())?;
    Ok(())
}
