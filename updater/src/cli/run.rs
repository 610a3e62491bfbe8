//! `updater run`: polls again and again, and listens to people at its socket meanwhile.

use std::path::PathBuf;
use std::time::Duration;

use device_pki::service::Manager;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{Context, exit_code, once, output, person, status, system_time};
use crate::error::Error;
use crate::policy::pause::pause;
use crate::progress::Shared;
use crate::pulse::Watch;
use crate::socket::{self, Request, refusal};
use crate::stop::Stop;
use crate::updater::{Asked, Outcome, Updater};

/// How long a run that was asked to stop may take to do so when the program is to end.
const LAST_PATIENCE: Duration = Duration::from_secs(60);

/// What a run is for.
#[derive(Debug)]
enum Job {
    Update(Asked),
    Bundle { file: PathBuf, retry: bool },
    Check,
    Commit(bool),
    RollBack(String),
}

/// How a run ended; no outcome for one that only looked.
type Ended = (Updater, Result<Option<Outcome>, Error>);

/// A run at work.
struct AtWork {
    work: JoinHandle<Ended>,
    stop: Stop,
    answer: Option<oneshot::Sender<Value>>,
}

struct Service<'c> {
    context: &'c Context,
    manager: Manager,
    shared: Shared,
    /// How often in a row a run failed by the network.
    failures: u32,
    reload: bool,
    last: Value,
}

/// What to do next.
enum Next {
    Work(Job, Option<oneshot::Sender<Value>>),
    Wait,
    End,
}

pub(super) async fn run(context: &Context) -> Result<(), Error> {
    let mut updater = context.open()?;
    let socket = updater.config().socket.clone();
    let mut requests = match socket::listen(&socket) {
        Ok(requests) => requests,
        Err(e) => {
            tracing::warn!(
                error = e.in_one_line(),
                "nobody can ask this updater anything"
            );
            mpsc::channel(1).1
        }
    };
    let mut service = Service {
        context,
        manager: Manager::of_the_environment(),
        shared: Shared::default(),
        failures: 0,
        reload: false,
        last: Value::Null,
    };
    service.manager.say("READY=1");
    let mut next = Next::Work(Job::Update(Asked::ByTimer), None);
    let result = loop {
        next = match next {
            Next::Work(job, answer) => {
                let (back, after) = service.work(updater, job, answer, &mut requests).await?;
                updater = back;
                after
            }
            Next::Wait => service.wait(&mut updater, &mut requests).await?,
            Next::End => break Ok(()),
        };
    };
    service.manager.say("STOPPING=1");
    let _gone_already = std::fs::remove_file(&socket);
    result
}

/// The next request; none ever comes if nobody listens.
async fn requested(requests: &mut mpsc::Receiver<socket::Asked>) -> socket::Asked {
    match requests.recv().await {
        Some(asked) => asked,
        None => std::future::pending().await,
    }
}

fn signals(kind: SignalKind) -> Result<tokio::signal::unix::Signal, Error> {
    signal(kind).map_err(|e| Error::Restart { why: e.to_string() })
}

impl Service<'_> {
    /// One run, on a thread of its own since it may block, while people are listened to.
    async fn work(
        &mut self,
        updater: Updater,
        job: Job,
        answer: Option<oneshot::Sender<Value>>,
        requests: &mut mpsc::Receiver<socket::Asked>,
    ) -> Result<(Updater, Next), Error> {
        self.manager.status("at work");
        self.manager.say("WATCHDOG=1");
        let stop = updater.stop().clone();
        stop.clear();
        let shared = self.shared.clone();
        let mut at_work = AtWork {
            work: tokio::task::spawn_blocking(move || done(updater, job, shared)),
            stop,
            answer,
        };
        let (mut terminate, mut hang_up) = (
            signals(SignalKind::terminate())?,
            signals(SignalKind::hangup())?,
        );
        // Twice as often as it has to be fed: what advances in between counts for the next time.
        let mut watch = Watch::every(self.manager.beat().map(|beat| beat / 2));
        let mut end = false;
        let patience = tokio::time::sleep(Duration::MAX / 4);
        let mut patience = std::pin::pin!(patience);
        let ended = loop {
            tokio::select! {
                ended = &mut at_work.work => break ended,
                asked = requested(requests) => self.while_at_work(asked, &at_work.stop),
                advances = watch.is_due() => match advances {
                    true => self.manager.say("WATCHDOG=1"),
                    false => tracing::warn!("nothing advances: the storage hangs, or what is waited for"),
                },
                _ = hang_up.recv() => self.reload = true,
                _ = terminate.recv() => { end = true; }
                _ = tokio::signal::ctrl_c() => { end = true; }
                // What is on the medium is good at any instant: the next start goes on.
                () = &mut patience, if end => return Err(Error::Stopped),
            }
            if end && !at_work.stop.is_asked() {
                self.manager.say("STOPPING=1");
                at_work.stop.stop();
                patience
                    .as_mut()
                    .reset(tokio::time::Instant::now() + LAST_PATIENCE);
            }
        };
        let (updater, result) = ended.map_err(|e| Error::Restart { why: e.to_string() })?;
        self.shared.clear();
        let restart = matches!(
            result,
            Ok(Some(
                Outcome::Armed { .. } | Outcome::AwaitingRestart { .. } | Outcome::Left { .. }
            )) | Err(Error::TrialFailed { .. })
        );
        self.say(&result, at_work.answer.take());
        self.failures = match &result {
            Err(e) if e.may_pass() => self.failures.saturating_add(1),
            _ => 0,
        };
        if restart {
            once::restart(&updater)?;
        }
        Ok((updater, if end { Next::End } else { Next::Wait }))
    }

    /// Says how a run ended: to people, to the service manager, and to whoever asked for it.
    fn say(
        &mut self,
        result: &Result<Option<Outcome>, Error>,
        answer: Option<oneshot::Sender<Value>>,
    ) {
        let (said, code) = match result {
            Ok(None) => ("it looked what is offered".to_owned(), 0),
            Ok(Some(outcome)) => {
                output::outcome(self.context.json, outcome);
                (outcome.to_string(), person::code(Ok(outcome)))
            }
            Err(e) => {
                output::error(e, self.context.json);
                (e.in_one_line(), exit_code::of(e))
            }
        };
        self.manager.status(&said);
        self.last = json!({"said": said, "exit_code": code});
        if let Some(answer) = answer {
            let value = match result {
                Ok(_) => json!({"ok": true, "said": said}),
                Err(_) => refusal(&said, code),
            };
            let _gone = answer.send(value);
        }
    }

    /// A request while a run is at work.
    fn while_at_work(&mut self, (request, answer): socket::Asked, stop: &Stop) {
        let value = match request {
            Request::Status => self.status(true),
            Request::Cancel => {
                stop.stop();
                json!({"ok": true, "said": "the run stops where it can be gone on with"})
            }
            Request::Reload => {
                self.reload = true;
                json!({"ok": true, "said": "the configuration is read when the run has ended"})
            }
            _ => refusal(
                "a run is at work: wait for it, or `updater cancel` stops it",
                exit_code::HELD,
            ),
        };
        let _gone = answer.send(value);
    }

    /// Waits for the next poll, a request or a signal.
    async fn wait(
        &mut self,
        updater: &mut Updater,
        requests: &mut mpsc::Receiver<socket::Asked>,
    ) -> Result<Next, Error> {
        if std::mem::take(&mut self.reload) {
            let _said = self.reloaded(updater);
        }
        let interval = Duration::from_secs(updater.config().poll_interval);
        let poll = tokio::time::sleep(pause(interval, self.failures, random()));
        let mut poll = std::pin::pin!(poll);
        let mut watch = Watch::every(self.manager.beat());
        self.manager.say("WATCHDOG=1");
        let (mut terminate, mut hang_up) = (
            signals(SignalKind::terminate())?,
            signals(SignalKind::hangup())?,
        );
        loop {
            let (request, answer) = tokio::select! {
                () = &mut poll => return Ok(Next::Work(Job::Update(Asked::ByTimer), None)),
                asked = requested(requests) => asked,
                _ = watch.is_due() => {
                    self.manager.say("WATCHDOG=1");
                    continue;
                }
                _ = hang_up.recv() => {
                    self.reload = true;
                    return Ok(Next::Wait);
                }
                _ = terminate.recv() => return Ok(Next::End),
                _ = tokio::signal::ctrl_c() => return Ok(Next::End),
            };
            let begun = json!({"ok": true, "said": "it begins"});
            let value = match request {
                Request::Status => self.status(false),
                Request::Reload => self.reloaded(updater),
                Request::Check => return Ok(Next::Work(Job::Check, Some(answer))),
                Request::Commit { unheard } => {
                    return Ok(Next::Work(Job::Commit(unheard), Some(answer)));
                }
                Request::Rollback { why } => {
                    return Ok(Next::Work(Job::RollBack(why), Some(answer)));
                }
                Request::Install {
                    file: Some(file), ..
                } if file.is_relative() => {
                    let why = format!("file {}: expected an absolute path", file.display());
                    refusal(&why, exit_code::USAGE)
                }
                Request::Install { retry, file } => {
                    let _gone = answer.send(begun);
                    let job = match file {
                        Some(file) => Job::Bundle { file, retry },
                        None => Job::Update(Asked::ByPerson { retry }),
                    };
                    return Ok(Next::Work(job, None));
                }
                Request::Poll => {
                    let _gone = answer.send(begun);
                    return Ok(Next::Work(Job::Update(Asked::ByTimer), None));
                }
                Request::Cancel => match updater.give_up(system_time()) {
                    Ok(outcome) => json!({"ok": true, "said": outcome.to_string()}),
                    Err(e) => refusal(&e.in_one_line(), exit_code::of(&e)),
                },
            };
            let _gone = answer.send(value);
        }
    }

    fn reloaded(&self, updater: &mut Updater) -> Value {
        let reloaded = self
            .context
            .config()
            .and_then(|config| updater.reconfigure(config));
        match reloaded {
            Ok(()) => json!({"ok": true, "said": "the configuration was read"}),
            Err(e) => {
                output::error(&e, self.context.json);
                refusal(&e.in_one_line(), exit_code::of(&e))
            }
        }
    }

    fn status(&self, busy: bool) -> Value {
        let progress = self
            .shared
            .now()
            .map(|(what, done, length)| json!({"what": what, "done": done, "length": length}));
        let looked = self
            .context
            .look()
            .and_then(|updater| status::value(&updater));
        let mut value = match looked {
            Ok(value) => value,
            Err(e) => return refusal(&e.in_one_line(), exit_code::of(&e)),
        };
        let service = json!({"busy": busy, "progress": progress, "last": self.last});
        if let Some(members) = value.as_object_mut() {
            members.insert("ok".to_owned(), true.into());
            members.insert("service".to_owned(), service);
        }
        value
    }
}

/// Does a job. Its runtime is its own: what it waits for and what blocks keeps nobody else.
fn done(mut updater: Updater, job: Job, mut shared: Shared) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(e) => return (updater, Err(Error::Restart { why: e.to_string() })),
    };
    let result = match job {
        Job::Update(asked) => runtime
            .block_on(updater.run(system_time(), asked, &mut shared))
            .map(Some),
        Job::Bundle { file, retry } => runtime
            .block_on(updater.install_bundle(&file, system_time(), retry, &mut shared))
            .map(Some),
        Job::Check => runtime.block_on(updater.check(system_time())).map(|_| None),
        Job::Commit(unheard) => updater.commit(unheard, system_time()).map(Some),
        Job::RollBack(why) => updater.roll_back(&why, system_time()).map(Some),
    };
    (updater, result)
}

fn random() -> u8 {
    let mut byte = [0];
    let _no_randomness_no_jitter = getrandom::fill(&mut byte);
    byte[0]
}
