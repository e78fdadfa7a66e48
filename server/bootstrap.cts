/** Bootstrap: sizes the thread pool before anything uses it, then starts the gateway. */

// Each running DuckDB call holds one thread of libuv's pool, and the pool takes its size from the
// environment when it is first used: by the loader of ES modules, before main.js could set it.
process.env.UV_THREADPOOL_SIZE ??= '32'
// The AWS SDK speaks of Node's versions on the terminal of whoever starts the gateway.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'
void import('./main.js')
