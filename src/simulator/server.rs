//! The simulator's thread: its HTTP server and its courier, from start to stop.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use actix_rt::ArbiterHandle;
use actix_web::dev::{Server, ServerHandle};
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer, middleware};
use tokio::sync::{mpsc, oneshot};

use super::courier::{self, Outgoing};
use super::options::{SimulatorError, SimulatorOptions};
use super::state::Shared;
use super::{control, front, routes};

/// What it takes to reach the thread, and to end it.
pub(super) struct Running {
    server: ServerHandle,
    arbiter: ArbiterHandle,
    ended: Option<oneshot::Receiver<()>>,
}

/// What the thread hands back once it listens.
struct Ready {
    server: ServerHandle,
    arbiter: ArbiterHandle,
}

/// Starts the thread and waits until it listens.
pub(super) async fn start(
    options: SimulatorOptions,
) -> Result<(Arc<Shared>, Running), SimulatorError> {
    let address = options.bind;
    let bound = bind(address).map_err(|source| SimulatorError::Bind { address, source })?;
    let (listener, address) = bound;
    let (outgoing, owed) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared::new(options, format!("http://{address}/v1"), outgoing)?);
    let (ready, listens) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let of_thread = Arc::clone(&shared);
    let body = move || {
        live(listener, of_thread, owed, ready);
        // Whoever waits for the end may be gone, which is fine.
        let _ = end.send(());
    };
    thread::Builder::new()
        .name("simulator".to_owned())
        .spawn(body)
        .map_err(SimulatorError::Start)?;
    let Ready { server, arbiter } = listens.await.map_err(|_| SimulatorError::Ended)??;
    Ok((shared, Running { server, arbiter, ended: Some(ended) }))
}

fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// The life of the thread.
fn live(
    listener: TcpListener,
    shared: Arc<Shared>,
    owed: mpsc::UnboundedReceiver<Outgoing>,
    ready: oneshot::Sender<Result<Ready, SimulatorError>>,
) {
    actix_rt::System::new().block_on(async move {
        let server = match serve(listener, Arc::clone(&shared)) {
            Ok(server) => server,
            Err(error) => {
                let _ = ready.send(Err(SimulatorError::Start(error)));
                return;
            }
        };
        let handle = Ready { server: server.handle(), arbiter: actix_rt::Arbiter::current() };
        if ready.send(Ok(handle)).is_err() {
            return;
        }
        actix_rt::spawn(courier::run(shared, owed));
        if let Err(error) = server.await {
            log::error!("the simulator's server failed: {error}");
        }
    });
}

fn serve(listener: TcpListener, shared: Arc<Shared>) -> io::Result<Server> {
    let workers = shared.options.workers;
    let shared = Data::from(shared);
    let app = move || {
        App::new()
            .app_data(shared.clone())
            .service(
                web::scope("/v1")
                    .wrap(middleware::from_fn(front::pass))
                    .configure(routes::configure),
            )
            .service(web::scope("/_simulator").configure(control::configure))
    };
    let server = HttpServer::new(app)
        .workers(workers)
        .on_connect(front::remember_socket)
        .keep_alive(Duration::from_secs(75))
        .disable_signals()
        .listen(listener)?
        .run();
    Ok(server)
}

impl Running {
    /// Runs a task on the simulator's thread until it stops.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if !self.arbiter.spawn(task) {
            log::debug!("the simulator has stopped already");
        }
    }

    /// Stops the server without waiting for open calls, and waits for the thread.
    pub(super) async fn stop(&mut self) {
        self.server.stop(false).await;
        if let Some(ended) = self.ended.take() {
            // An error says that the thread is gone, which is what is waited for.
            let _ = ended.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The command is sent by the call itself; only its completion would have to be awaited.
        drop(self.server.stop(false));
    }
}
