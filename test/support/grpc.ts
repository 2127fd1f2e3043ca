/** A gRPC service and its client, both those of grpc-js, with messages that are plain text. */

import type { TestContext } from 'node:test'
import {
  Client,
  type ClientOptions,
  credentials,
  type Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServiceError,
  type StatusObject,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { makeCertificate } from './certificates.ts'
import { within } from './deadline.ts'

type Text = MethodDefinition<string, string>

function method(name: string, requestStream: boolean, responseStream: boolean): Text {
  const serialize = (text: string) => Buffer.from(text)
  const deserialize = (bytes: Buffer) => bytes.toString()
  return {
    path: `/test.v1.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: serialize,
    requestDeserialize: deserialize,
    responseSerialize: serialize,
    responseDeserialize: deserialize,
  }
}

export const methods = {
  unary: method('Unary', false, false),
  collect: method('Collect', true, false),
  expand: method('Expand', false, true),
  talk: method('Talk', true, true),
} as const
type Methods = typeof methods

export type Implementation = Partial<Record<keyof Methods, UntypedServiceImplementation[string]>>

/** @returns its port on 127.0.0.1; it ends with its test */
export async function startGrpcServer(
  t: TestContext,
  implementation: Implementation,
  isSecure: boolean,
): Promise<number> {
  const server = new Server({ 'grpc.max_receive_message_length': -1 })
  server.addService({ ...methods }, implementation as UntypedServiceImplementation)
  const { certificate, privateKey } = makeCertificate({ names: ['target.example'], keyType: 'p256' })
  const pair = { cert_chain: Buffer.from(certificate), private_key: Buffer.from(privateKey) }
  const way = isSecure ? ServerCredentials.createSsl(null, [pair]) : ServerCredentials.createInsecure()
  t.after(() => server.forceShutdown())
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', way, (error, port) => (error === null ? resolve(port) : reject(error)))
  })
}

/** Takes any certificate. */
export function connectGrpc(t: TestContext, port: number, options: ClientOptions = {}): Client {
  const way = credentials.createSsl(null, null, null, { rejectUnauthorized: false })
  const client = new Client(`127.0.0.1:${port}`, way, {
    'grpc.max_receive_message_length': -1,
    'grpc.ssl_target_name_override': 'a.example',
    'grpc.default_authority': 'a.example',
    ...options,
  })
  t.after(() => client.close())
  return client
}

export type Call = {
  /** What it brought, in order. */
  readonly messages: readonly string[]
  readonly initial: Metadata | null
  readonly status: StatusObject
}

type Arguments = {
  readonly metadata?: Metadata
  readonly deadline?: number
}

/** Makes a call of any kind with these messages, and waits for its end, whatever it is. */
export async function call(
  client: Client,
  of: Text,
  messages: readonly string[],
  { metadata, deadline }: Arguments = {},
): Promise<Call> {
  const got: string[] = []
  let initial: Metadata | null = null
  const begun = begin(client, of, messages, metadata, deadline === undefined ? {} : { deadline })
  begun.on('metadata', fields => {
    initial = fields
  })
  begun.on('data', (message: string) => got.push(message))
  const status = await within(statusOf(begun), () => `the end of ${of.path}`)
  return { messages: got, initial, status }
}

/** How it ended, whatever that was. */
export function statusOf(begun: ReturnType<typeof begin>): Promise<StatusObject> {
  return new Promise(resolve => begun.once('status', resolve))
}

/** All kinds of calls are those with streams both ways to HTTP/2; only the servers differ. */
export function begin(
  client: Client,
  of: Text,
  messages: readonly string[],
  metadata?: Metadata,
  options: { readonly deadline?: number } = {},
) {
  const begun =
    metadata === undefined
      ? client.makeBidiStreamRequest(of.path, of.requestSerialize, of.responseDeserialize, options)
      : client.makeBidiStreamRequest(of.path, of.requestSerialize, of.responseDeserialize, metadata, options)
  begun.on('error', (_: ServiceError) => {}) // 'status' tells.
  for (const message of messages) begun.write(message)
  if (of.requestStream === false || messages.length > 0) begun.end()
  return begun
}
