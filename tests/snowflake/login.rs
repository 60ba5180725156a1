//! The login, checked by somebody else: PyJWT and cryptography. The stand-in takes any.

use super::proxy::Proxy;
use super::{KEY, configured, key_path, open, python};
use deltamart::config::snowflake::Snowflake as Config;
use deltamart::families::all;
use deltamart::sink::Sink;
use std::process::Command;

/// Checks the signature with the public key, and prints the claims.
const CHECK: &str = r#"
import base64, hashlib, json, sys, jwt
from cryptography.hazmat.primitives import serialization
token, public = sys.stdin.read().split()
der = base64.b64decode(public)
key = serialization.load_der_public_key(der)
assert key.key_size == 2048, key.key_size
claims = jwt.decode(token, key, algorithms=["RS256"])
fingerprint = "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode()
other = token[:-8] + ("AAAAAAAA" if not token.endswith("AAAAAAAA") else "BBBBBBBB")
try:
    jwt.decode(other, key, algorithms=["RS256"])
    raise SystemExit("another signature passed")
except jwt.InvalidSignatureError:
    pass
print(json.dumps({"iss": claims["iss"].replace(fingerprint, "FINGERPRINT"), "sub": claims["sub"],
                  "span": claims["exp"] - claims["iat"], "claims": sorted(claims)}))
"#;

/// The body of the login that a configuration makes.
fn login(config: &Config) -> serde_json::Value {
    let proxy = Proxy::to(&config.url);
    let mut sink = open(&Config { url: proxy.url.clone(), ..config.clone() });
    sink.position().expect("asks");
    let asked = proxy.asked.lock().expect("whole");
    let (_, body) = asked[0].split_once(' ').expect("a body");
    assert!(asked[0].starts_with("/session/v1/login-request"));
    serde_json::from_str::<serde_json::Value>(body).expect("JSON")["data"].clone()
}

fn claims(config: &Config, public: &str) -> serde_json::Value {
    let login = login(config);
    assert_eq!(login["AUTHENTICATOR"], "SNOWFLAKE_JWT");
    let token = login["TOKEN"].as_str().expect("a token");
    serde_json::from_str(&python(CHECK, &format!("{token} {public}"))).expect("JSON")
}

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn the_token_is_what_snowflake_documents() {
    let mut config = configured();
    let claims_of = |config: &Config| claims(config, &KEY.1);
    let found = claims_of(&config);
    assert_eq!(found["iss"], "MYORG-PROD.LOADER.FINGERPRINT");
    assert_eq!(found["sub"], "MYORG-PROD.LOADER");
    assert_eq!(found["claims"], serde_json::json!(["exp", "iat", "iss", "sub"]));
    assert!((60..=3600).contains(&found["span"].as_i64().expect("seconds")));
    // A locator: its region and cloud are of the address only.
    config.account = "xy12345.eu-central-1.aws".to_owned();
    assert_eq!(claims_of(&config)["sub"], "XY12345.LOADER");
    // One that regions share: what follows `-` is of the address too.
    config.account = "xy12345-ext7.global".to_owned();
    assert_eq!(claims_of(&config)["sub"], "XY12345.LOADER");
    config.user = "\"Loader\"".to_owned();
    assert_eq!(claims_of(&config)["sub"], "XY12345.LOADER", "quotes are not of the name");
    let parameters = &login(&config)["SESSION_PARAMETERS"];
    assert_eq!(parameters["QUERY_TAG"], "deltamart");
}

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn keys_that_openssl_encrypted_open_with_their_passphrase() {
    let mut config = configured();
    let plain = key_path().join("key.p8");
    for cipher in ["aes-256-cbc", "aes-128-cbc"] {
        let encrypted = key_path().join(format!("{cipher}.p8"));
        let openssl = Command::new("openssl")
            .args(["pkcs8", "-topk8", "-v2", cipher, "-passout", "pass:open sesame", "-in"])
            .arg(&plain)
            .arg("-out")
            .arg(&encrypted)
            .status();
        assert!(openssl.expect("openssl is there").success());
        config.private_key = format!("file:{}", encrypted.display());
        config.passphrase = String::new();
        let refused =
            |config: &Config| deltamart::sink::snowflake::Snowflake::open(all(), config).err().expect("refused");
        assert!(refused(&config).to_string().contains("`snowflake.passphrase`: is empty"));
        let secret = key_path().join(format!("{cipher}.secret"));
        config.passphrase = format!("file:{}", secret.display());
        std::fs::write(&secret, "open barley\n").expect("writes");
        let error = refused(&config).to_string();
        assert!(error.contains("is not an RSA key that this passphrase opens") && !error.contains("barley"), "{error}");
        std::fs::write(&secret, "open sesame\n").expect("writes");
        assert_eq!(claims(&config, &KEY.1)["sub"], "MYORG-PROD.LOADER");
    }
}

#[test]
#[ignore = "needs a stand-in for Snowflake (scripts/with-fakesnow)"]
fn a_key_is_made_once_for_its_owner_alone_and_registered_by_what_is_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deltamart"));
        command.current_dir(folder.path()).args(["snowflake-key", "--set", "snowflake.user=loader"]);
        command.output().expect("runs")
    };
    let first = program();
    let (said, beside) = (String::from_utf8_lossy(&first.stdout), String::from_utf8_lossy(&first.stderr));
    assert!(first.status.success(), "{beside}");
    let public = said.strip_prefix("ALTER USER \"LOADER\" SET RSA_PUBLIC_KEY = '").expect("an ALTER USER");
    let (public, second) = public.split_once("';\n").expect("whole");
    // Beside a key that is in use. A comment: a user who pipes all of it into a client sets one of the two.
    assert!(second.contains(&format!("-- ALTER USER \"LOADER\" SET RSA_PUBLIC_KEY_2 = '{public}';")), "{second}");
    assert!(second.lines().all(|line| line.starts_with("--")), "{second}");
    let path = folder.path().join("snowflake_key.p8");
    let private = std::fs::read(&path).expect("is there");
    assert!(!said.contains("PRIVATE") && !beside.contains("PRIVATE KEY"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).expect("is there").permissions().mode() & 0o777, 0o600);
    }
    let again = program();
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("left as it is"));
    assert_eq!(std::fs::read(&path).expect("is there"), private);
    let config = Config { private_key: format!("file:{}", path.display()), ..configured() };
    assert_eq!(claims(&config, public)["sub"], "MYORG-PROD.LOADER");
}
