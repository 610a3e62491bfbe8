//! The accepting side of a handshake, which is heard when it refuses.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a refused peer is listened to.
const LINGER: Duration = Duration::from_secs(1);
/// How many bytes of a refused peer are read, to be thrown away.
const MOST_UNREAD: u64 = 64 * 1024;

/// Shakes hands with who has connected, and sees to it that a refusal arrives.
///
/// In TLS 1.3 the connecting side is through with its handshake, and sends its first request, before its certificate has been
/// judged. A connection that is closed with bytes unread is reset, and a reset overtakes the alert that says why (RFC 1122,
/// section 4.2.2.13): the device would see a broken line where its certificate was refused. So what a refused peer sends is
/// read for a second at most, until it has heard the alert and closes.
///
/// # Errors
/// Why the peer was refused, or that it takes longer than `within`.
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    config: Arc<ServerConfig>,
    stream: S,
    within: Duration,
) -> io::Result<TlsStream<S>> {
    let handshake = TlsAcceptor::from(config).accept(stream).into_fallible();
    match tokio::time::timeout(within, handshake).await {
        Ok(Ok(accepted)) => Ok(accepted),
        Ok(Err((refusal, stream))) => {
            // Whatever happens now, the refusal is what there is to say.
            let _ = tokio::time::timeout(LINGER, hear_out(stream)).await;
            Err(refusal)
        }
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the handshake takes too long",
        )),
    }
}

async fn hear_out<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(MOST_UNREAD), &mut tokio::io::sink()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::ServerName;
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::testing::TestPki;
    use crate::tls;

    #[tokio::test]
    async fn a_refusal_is_heard_by_who_is_still_speaking() {
        let (pki, stranger) = (TestPki::new("accept"), TestPki::new("stranger"));
        let trust = pki.trust(Vec::new());
        let server = tls::api_server(&pki.server("localhost"), &trust).unwrap();
        let client = tls::device_client(&stranger.device("A1"), &trust).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            accept(Arc::new(server), stream, Duration::from_secs(60)).await
        });

        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(client));
        let mut stream = connector.connect(name, stream).await.unwrap();
        // Time enough for the other side to have refused, and to have closed if that were all it did.
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            stream.get_mut().0.write_all(b"more").await.unwrap();
        }
        let heard = stream.read_u8().await.unwrap_err().to_string();
        assert!(heard.contains("received fatal alert"), "{heard}");
        drop(stream);
        assert!(accepted.await.unwrap().is_err());
    }
}
