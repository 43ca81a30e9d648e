//! Visitors and remarks, in a store that speaks the Redis protocol.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use guestbook::{KEPT, SHOWN};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, Pipeline, RedisResult};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// The store, for whoever holds one of these: all of them share a connection.
// ANCHOR: book
#[derive(Clone)]
pub struct Book {
    client: Client,
    timeout: Duration,
    /// The connection, and how many there were before it.
    shared: Arc<Mutex<(u64, Option<MultiplexedConnection>)>>,
}

impl Book {
    /// The store at this address, which has so long for each reply.
    ///
    /// # Errors
    /// What the client library says of the address.
    pub fn at(address: SocketAddr, timeout: Duration) -> RedisResult<Self> {
        let client = Client::open(format!("redis://{address}/"))?;
        Ok(Self { client, timeout, shared: Arc::default() })
    }

    /// Counts a visitor, and takes the newest remarks. A visitor who is counted twice is a
    /// harm that we accept, so it is asked again, once.
    ///
    /// # Errors
    /// The store did not answer in time, or not so.
    pub async fn visit(&self) -> Result<(i64, Vec<Vec<u8>>), Unavailable> {
        let mut both = redis::pipe();
        both.cmd("INCR").arg("visitors").lrange("remarks", 0, SHOWN as isize - 1);
        let twice = async {
            match self.ask(&both).await {
                Err(_) => self.ask(&both).await,
                answer => answer,
            }
        };
        timeout(self.timeout, twice).await.ok().and_then(Result::ok).ok_or(Unavailable)
    }

    /// Puts a remark in front of the others; asked once.
    ///
    /// # Errors
    /// As for [`Self::visit`].
    pub async fn add(&self, remark: &str) -> Result<(), Unavailable> {
        let mut both = redis::pipe();
        both.lpush("remarks", remark).ignore();
        both.ltrim("remarks", 0, KEPT as isize - 1).ignore();
        let once = timeout(self.timeout, self.ask(&both));
        once.await.ok().and_then(Result::ok).ok_or(Unavailable)
    }
    // ANCHOR_END: book

    // ANCHOR: ask
    /// Asks over the connection that all share. One that has failed, or was late, is used no
    /// more: what comes on it later would be the answer to another question.
    async fn ask<T: FromRedisValue>(&self, pipe: &Pipeline) -> RedisResult<T> {
        let (number, mut connection) = self.connection().await?;
        let answer = pipe.query_async(&mut connection).await;
        if answer.is_err() {
            let mut shared = self.shared.lock().await;
            if shared.0 == number {
                shared.1 = None;
            }
        }
        answer
    }
    // ANCHOR_END: ask

    async fn connection(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        let mut shared = self.shared.lock().await;
        if let (number, Some(connection)) = &*shared {
            return Ok((*number, connection.clone()));
        }
        // Less than the caller has: it is to hear of it.
        let limit = Some(self.timeout * 9 / 10);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(limit)
            .set_response_timeout(limit);
        let new = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        *shared = (shared.0 + 1, Some(new.clone()));
        Ok((shared.0, new))
    }
}

impl std::fmt::Debug for Book {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Book").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// The store did not answer: the page cannot be made now, and may be in a moment.
#[derive(Clone, Copy, Debug)]
pub struct Unavailable;

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        let soon = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
        (StatusCode::SERVICE_UNAVAILABLE, soon).into_response()
    }
}
