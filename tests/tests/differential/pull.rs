//! Whole files from the simulator, for clients that are not ours.

use tests::simulator::Simulator;
use updater::error::TransportError;
use updater::transport::{Part, Request, Transport as _};

/// The file; none if it is not there.
pub(crate) fn pull(
    repository: &mut Simulator,
    part: Part,
    path: &str,
) -> Result<Option<Vec<u8>>, TransportError> {
    let request = Request {
        part,
        path: path.to_owned(),
        offset: 0,
        most: 64 * 1024 * 1024,
    };
    let Some(mut body) = at_once(repository.open(&request))? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    while let Some(piece) = at_once(body.piece())? {
        bytes.extend_from_slice(&piece);
    }
    Ok(Some(bytes))
}

/// The result of a future that waits for nothing: the simulator's, without slow answers.
fn at_once<T>(mut future: std::pin::Pin<Box<dyn Future<Output = T> + Send + '_>>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the simulator waits"),
    }
}
