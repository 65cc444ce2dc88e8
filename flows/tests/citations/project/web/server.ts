import { createServer } from "node:http";

const port = Number(process.env.PORT ?? 8080);

export function handle(req: Request, res: Response): void {
  const id = req.url?.split("/")[1] ?? "";
  if (id === "") {
    res.writeHead(400).end("no id");
    return;
  }
  log(`parcel "${id}" asked for`);
  res.writeHead(200, { "content-type": "application/json" });
  res.end(JSON.stringify({ id, state: lookup(id) }));
}

createServer(handle).listen(port, () => {
  log(`listening on http://localhost:${port}`);
});
