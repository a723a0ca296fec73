// The TCP client of the Node pages: writes when connected, hangs up after the first data.
const net = require('node:net');

const [host, port, message] = process.argv.slice(2);
const client = net.createConnection({ host, port: Number(port) }, () => {
  console.log('connected to server!');
  client.write(message);
});

client.on('data', (data) => {
  console.log(data.toString().trimEnd());
  client.end();
});

client.on('end', () => {
  console.log('disconnected from server');
});
