// Reads each body and answers 200, as the service of net/tests/http_server/raw.rs does.
const server = require('http').createServer((request, response) => {
  request.on('data', () => {});
  request.on('error', () => {});
  request.on('end', () => response.end(`${request.method} ${request.url}`));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
