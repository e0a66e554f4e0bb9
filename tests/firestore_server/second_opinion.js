// npm's @firestore-emulator/server on a free loopback port: prints the address, ends with its input.
// Its own start() listens on all interfaces, so its gRPC server is bound here.
const root = process.argv[2];
const { FirestoreServer } = require(require.resolve("@firestore-emulator/server", { paths: [root] }));
const { ServerCredentials } = require(require.resolve("@grpc/grpc-js", { paths: [root] }));

const server = new FirestoreServer();
server.server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`127.0.0.1:${port}\n`);
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
