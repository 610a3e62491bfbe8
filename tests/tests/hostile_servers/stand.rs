//! A whole device between two servers: one as it should be, and one that does what a row of a table says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use device_pki::{Clock, Identity, RevocationPolicy, Revocations, Trust, TrustAnchor, tls};
use firmware_delta::{Applier, Expectation, ImageId, Limits, VerifiedOld, inspect};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use updater::boot::simulated::power_on;
use updater::config::Config;
use updater::error::Error;
use updater::progress::Silent;
use updater::slot::SlotName;
use updater::{Outcome, Updater};

use crate::server::{Server, Step};
use crate::world::{World, image};

/// Bytes of the image: four frames.
const IMAGE: usize = 3_500_000;
/// Bytes of each slot.
const SLOT: u64 = 4 * 1024 * 1024;
/// Most bytes that may be taken of an answer without an end: what is signed, and what lies in sockets.
const MOST_TAKEN: usize = 32 * 1024 * 1024;

/// Where a device keeps the manifest that it read last.
const MANIFEST: &str = "state/metadata/offer.manifest";

/// The file that a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    Timestamp,
    Manifest,
    Payload,
}

/// A request for it.
pub(crate) struct Asked {
    /// What the file holds.
    pub(crate) whole: Vec<u8>,
    /// The first byte that is wanted.
    pub(crate) from: usize,
    /// Where the frames of the payload end.
    pub(crate) frames: Vec<usize>,
}

/// What a server does at the request with this number (from 0) for the file.
pub(crate) type Trick = Box<dyn Fn(usize, &Asked) -> Vec<Step> + Send + Sync>;

/// What comes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ends {
    /// The run gets over it by itself.
    Installed,
    /// The run ends in this exit code, and a person reads all of this.
    Fails(u8, &'static [&'static str]),
}

/// The exit code of what passes by itself, so that the daemon asks again soon.
pub(crate) const NETWORK: u8 = 3;
/// Of metadata that is refused.
pub(crate) const METADATA: u8 = 4;
/// Of a payload that is refused.
pub(crate) const PAYLOAD: u8 = 5;
/// Of what somebody has to mend.
pub(crate) const SETTINGS: u8 = 8;

/// One world for a table: its repository, and how its payload is made.
pub(crate) struct Stand {
    pub(crate) world: World,
    published: PathBuf,
    frames: Vec<usize>,
    image: Vec<u8>,
    devices: AtomicUsize,
}

impl Stand {
    pub(crate) async fn new() -> Arc<Self> {
        let world = World::new().await;
        let image = image(1, IMAGE);
        world.release("1.0.0", &image);
        let published = world.path("repository/published");
        let payload = files(&published.join("targets"))
            .into_values()
            .find(|bytes| bytes.len() > IMAGE / 2)
            .unwrap();
        Arc::new(Self {
            frames: ends_of_frames(&payload, &image),
            world,
            published,
            image,
            devices: AtomicUsize::new(0),
        })
    }

    /// A server with a certificate of this world, which lets its devices in.
    pub(crate) fn acceptor(&self, server: &str) -> TlsAcceptor {
        self.acceptor_for(server, &self.world.path("pki"))
    }

    /// One that lets in the devices of the PKI in that folder.
    pub(crate) fn acceptor_for(&self, server: &str, devices: &Path) -> TlsAcceptor {
        let folder = self.world.path("pki/servers").join(server);
        let identity = Identity::load(&folder.join("chain.pem"), &folder.join("key.pem")).unwrap();
        let anchor = std::fs::read(devices.join("trust-anchor.pem")).unwrap();
        let trust = Trust {
            anchor: TrustAnchor::from_pem(&anchor).unwrap(),
            revocations: Arc::new(Revocations::default()),
            policy: RevocationPolicy::Available,
            clock: Clock::System,
        };
        let mut config = tls::api_server(&identity, &trust).unwrap();
        config.alpn_protocols = vec!["http/1.1".into()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// A server with the repository's files, which plays its trick at one of them once `on` says so.
    pub(crate) async fn server(
        self: &Arc<Self>,
        file: File,
        trick: Trick,
        on: Arc<AtomicBool>,
        asked: Arc<AtomicUsize>,
    ) -> Server {
        let stand = Arc::clone(self);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let script = move |_, head: &str| {
            let request = head.lines().next().unwrap_or_default();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let Some(path) = path.strip_prefix("/repository/") else {
                return not_there();
            };
            // Where redirects lead.
            let path = path.trim_start_matches("moved/").trim_end_matches('?');
            let Ok(whole) = std::fs::read(stand.published.join(path)) else {
                return not_there();
            };
            let range = head
                .lines()
                .find_map(|line| line.strip_prefix("range: bytes="));
            let from = range.map_or(0, |range| range.trim_end_matches('-').parse().unwrap());
            let at = Asked {
                from,
                frames: stand.frames.clone(),
                whole,
            };
            if on.load(Ordering::SeqCst) && of(path, at.whole.len()) == Some(file) {
                return trick(asked.fetch_add(1, Ordering::SeqCst), &at);
            }
            at.good()
        };
        Server::on(listener, self.acceptor("api"), Arc::new(script))
    }

    /// A device of its own, as it leaves the factory, that has looked once by a good network.
    async fn device(self: &Arc<Self>, port: u16) -> Device {
        let number = self.devices.fetch_add(1, Ordering::SeqCst);
        let device = Device {
            stand: Arc::clone(self),
            folder: format!("device-{number}"),
        };
        self.world.provision_in(&device.folder, port);
        for slot in ["a.img", "b.img"] {
            let slot = std::fs::File::create(device.path(slot)).unwrap();
            slot.set_len(SLOT).unwrap();
        }
        std::fs::create_dir_all(device.path("updater.d")).unwrap();
        let limits = "[network]\nproxy = 'none'\nattempts = 2\nconnect = 10\nsilence = 2\nwindow = 2\nminimum_rate = 2000\n";
        std::fs::write(device.path("updater.d/60-limits.toml"), limits).unwrap();
        self.world.ask_in(&device.folder, port);
        let mut updater = device.updater();
        updater.check(self.world.now).await.unwrap();
        device
    }

    /// A row: the device looks, the network turns bad, a run, the network is good again, another run.
    pub(crate) async fn row(
        self: &Arc<Self>,
        name: &str,
        file: File,
        trick: Trick,
        requests: usize,
        ends: Ends,
    ) {
        let (on, asked) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let server = self
            .server(file, trick, Arc::clone(&on), Arc::clone(&asked))
            .await;
        let device = self.device(server.address.port()).await;
        if file == File::Manifest {
            // It is kept, and would not be asked for.
            std::fs::remove_file(device.path(MANIFEST)).unwrap();
        }
        let before = device.kept();
        on.store(true, Ordering::SeqCst);
        let ended = device.updater().once(self.world.now, &mut Silent).await;
        on.store(false, Ordering::SeqCst);
        device.holds_to(name, ended, ends, &before).await;
        assert_eq!(asked.load(Ordering::SeqCst), requests, "{name}: requests");
        assert!(
            server.taken() < MOST_TAKEN,
            "{name}: {} bytes",
            server.taken()
        );
    }

    /// The same, of a network where something else listens at `port`.
    pub(crate) async fn elsewhere(self: &Arc<Self>, name: &str, port: u16, ends: Ends) {
        let (on, asked) = (Arc::default(), Arc::default());
        let good: Trick = Box::new(|_, asked| asked.good());
        let server = self.server(File::Timestamp, good, on, asked).await;
        let device = self.device(server.address.port()).await;
        let before = device.kept();
        self.world.ask_in(&device.folder, port);
        let ended = device.updater().once(self.world.now, &mut Silent).await;
        self.world.ask_in(&device.folder, server.address.port());
        device.holds_to(name, ended, ends, &before).await;
    }
}

struct Device {
    stand: Arc<Stand>,
    folder: String,
}

impl Drop for Device {
    fn drop(&mut self) {
        let _left_to_the_folder = std::fs::remove_dir_all(self.stand.world.path(&self.folder));
    }
}

impl Device {
    fn path(&self, name: &str) -> PathBuf {
        self.stand.world.path(&self.folder).join(name)
    }

    fn updater(&self) -> Updater {
        Updater::open(Config::load(&self.path("updater.toml")).unwrap()).unwrap()
    }

    /// What is trusted, the running slot, and what is remembered of installations.
    fn kept(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut kept = files(&self.path("state/metadata"));
        kept.remove(&self.path(MANIFEST));
        kept.insert("a.img".into(), std::fs::read(self.path("a.img")).unwrap());
        kept
    }

    /// Holds how a run by a bad network ended against what is expected, and then lets the device have a good one.
    async fn holds_to(
        &self,
        name: &str,
        ended: Result<Outcome, Error>,
        ends: Ends,
        before: &BTreeMap<PathBuf, Vec<u8>>,
    ) {
        assert!(
            self.kept() == *before,
            "{name}: what is trusted or what runs has changed"
        );
        let error = match (ended, ends) {
            (Ok(Outcome::Armed { .. }), Ends::Installed) => return self.holds_the_image(name),
            (Err(error), Ends::Fails(..)) => error,
            (ended, ends) => panic!("{name}: {ended:?}; expected {ends:?}"),
        };
        let read = as_read(&error);
        let Ends::Fails(code, words) = ends else {
            unreachable!()
        };
        assert_eq!(updater::cli::exit_code::of(&error), code, "{name}: {read}");
        assert_eq!(error.may_pass(), code == NETWORK, "{name}");
        for word in words {
            assert!(read.contains(word), "{name}: {word:?} is not in\n{read}");
        }
        // The status of the device says the same, later.
        let updater = self.updater();
        let problem = updater.memory().last.clone().unwrap().problem.unwrap();
        assert_eq!(problem.exit_code, code, "{name}");
        assert_eq!(problem.hint.as_deref(), error.hint(), "{name}");
        assert_eq!(
            updater.state().running.version.to_string(),
            "0.9.0",
            "{name}"
        );
        drop(updater);
        // Nothing is armed: it starts what it ran.
        assert_eq!(
            power_on(&self.path("boot.json")).unwrap(),
            SlotName::A,
            "{name}"
        );

        // The next poll, by a good network, is enough.
        let later = self.updater().once(self.stand.world.now, &mut Silent).await;
        assert!(
            matches!(later, Ok(Outcome::Armed { .. })),
            "{name}: {later:?}"
        );
        self.holds_the_image(name);
    }

    fn holds_the_image(&self, name: &str) {
        let slot = std::fs::read(self.path("b.img")).unwrap();
        assert!(slot.starts_with(&self.stand.image), "{name}");
        assert_eq!(
            power_on(&self.path("boot.json")).unwrap(),
            SlotName::B,
            "{name}"
        );
    }
}

impl Asked {
    /// The answer as it should be.
    pub(crate) fn good(&self) -> Vec<Step> {
        vec![Step::Send(self.bytes()), Step::Next]
    }

    pub(crate) fn status(&self) -> &'static str {
        if self.from > 0 {
            "206 Partial Content"
        } else {
            "200 OK"
        }
    }

    fn range(&self) -> String {
        let length = self.whole.len();
        format!("content-range: bytes {}-{}/{length}", self.from, length - 1)
    }

    fn headers(&self) -> Vec<String> {
        Some(self.range())
            .filter(|_| self.from > 0)
            .into_iter()
            .collect()
    }

    /// A head with these header lines, besides what the range asks for.
    pub(crate) fn head(&self, headers: &[&str]) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {}\r\n", self.status());
        for header in self
            .headers()
            .iter()
            .map(String::as_str)
            .chain(headers.iter().copied())
        {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// The whole answer, head and body.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let body = &self.whole[self.from..];
        let length = format!("content-length: {}", body.len());
        [&self.head(&[&length]), body].concat()
    }

    /// Bytes of the head of [`Asked::bytes`].
    pub(crate) fn head_length(&self) -> usize {
        self.bytes().len() - (self.whole.len() - self.from)
    }
}

/// Which of the files that rows are about this is.
fn of(path: &str, length: usize) -> Option<File> {
    if path.ends_with("timestamp.json") {
        return Some(File::Timestamp);
    }
    let target = path.starts_with("targets/");
    match length {
        _ if !target => None,
        length if length > IMAGE / 2 => Some(File::Payload),
        _ => Some(File::Manifest),
    }
}

/// All that a person reads.
fn as_read(error: &Error) -> String {
    let mut read = format!("Error: {error}\n");
    for cause in error.causes() {
        read.push_str(&format!("  {cause}\n"));
    }
    let hint = error.hint().unwrap_or_default();
    assert!(!hint.is_empty(), "{read}");
    format!("{read}Hint: {hint}")
}

fn not_there() -> Vec<Step> {
    crate::server::answer("404 Not Found", &[], b"")
}

/// All files below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

fn ends_of_frames(payload: &[u8], image: &[u8]) -> Vec<usize> {
    let summary = inspect(&mut &payload[..]).unwrap();
    let expectation = Expectation {
        head: summary.head,
        new: ImageId::of(image),
        old: None,
    };
    let limits = Limits {
        new_length: image.len().try_into().unwrap(),
        ..Limits::default()
    };
    let mut applier = Applier::new(expectation, limits, VerifiedOld::none()).unwrap();
    let (mut ends, new) = (Vec::new(), Mutex::new(Vec::new()));
    for piece in payload.chunks(1000) {
        let progress = applier.push(piece, &mut *new.lock().unwrap()).unwrap();
        let end = usize::try_from(progress.payload_offset).unwrap();
        if ends.last() != Some(&end) {
            ends.push(end);
        }
    }
    ends.retain(|end| (1..payload.len()).contains(end));
    assert!(ends.len() >= 4, "{ends:?}");
    ends
}
