// The UDP client of the Node pages.
const dgram = require('node:dgram');
const { Buffer } = require('node:buffer');

const [host, port, ...messages] = process.argv.slice(2);
const client = dgram.createSocket('udp4');

client.on('message', (msg, rinfo) => {
  console.log(`client got: ${msg} from ${rinfo.address}`);
  next();
});

client.on('error', (err) => {
  console.error(`client error:\n${err.stack}`);
  client.close();
});

function next() {
  const message = messages.shift();
  if (message === undefined) {
    client.close();
    return;
  }
  client.send(Buffer.from(message), Number(port), host);
}

next();
