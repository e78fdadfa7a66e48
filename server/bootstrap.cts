/** Bootstrap: sizes the thread pool and the heap before anything uses them, then starts the gateway. */

// Each running DuckDB call holds one thread of libuv's pool, and the pool takes its size from the
// environment when it is first used: by the loader of ES modules, before main.js could set it.
process.env.UV_THREADPOOL_SIZE ??= '32'
// The AWS SDK speaks of Node's versions on the terminal of whoever starts the gateway.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'

void import('node:v8').then(({ setFlagsFromString }) => {
  // V8 counts the bytes that every chunk of rows is copied into towards its heap, which it then
  // marks whole a dozen times a second although nearly nothing of it has changed. Four times what
  // is alive is also the most it lets a heap grow by itself.
  setFlagsFromString('--heap-growing-percent=300')
  return import('./main.js')
})
