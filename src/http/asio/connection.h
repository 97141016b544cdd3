// Connection: one TLS connection as a state machine; requests one at a time, in order.
//
//   handshake -> head -> (body | stream) -> await -> write -> head … -> linger -> closed
// Run() makes steps until one must wait for the socket, a worker or an event. There is no timer a connection: each
// state sets a deadline that IoThread's sweep looks at. The head is Beast's grammar (head_parser), TLS sits on the
// socket itself. Thread rule: its IoThread's thread; workers reach it through the thread's mailbox only. IoThread owns
// it until Close.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include <boost/asio/ip/tcp.hpp>

#include "http/asio/io_thread.h"
#include "http/body_pipe.h"
#include "http/head_parser.h"
#include "http/message.h"
#include "http/tls/server_context.h"

namespace fleetseal::http {

class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  // nullptr if the socket is gone already.
  static std::shared_ptr<Connection> Make(IoThread& thread, boost::asio::ip::tcp::socket socket,
                                          std::shared_ptr<const TlsServerContext> tls);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Start();
  int64_t deadline_ms() const { return deadline_ms_; }
  void OnDeadline();
  void OnStopping(bool is_final);
  // A responder's answer to exchange `id`; ignored if that exchange was answered.
  void OnResponse(uint64_t id, Response response);
  // The reader of an upload made room.
  void OnRoom();
  void OnBodyWanted();

 private:
  enum class State : uint8_t { kHandshake, kHead, kBody, kStream, kAwait, kWrite, kLinger, kClosed };
  enum class Step : uint8_t { kGoOn, kWaitRead, kWaitWrite, kSuspend };

  // What is known of the request that is being answered.
  struct Exchange {
    uint64_t id = 0;
    Method method = Method::kOther;
    bool keeps_alive = true;
    std::string request_id;
    std::string path;  // for the record
    std::string range;
    std::string if_range;
    std::string if_none_match;
    std::chrono::steady_clock::time_point started;
    int status = 0;
    uint64_t sent = 0;
  };

  Connection(IoThread& thread, boost::asio::ip::tcp::socket socket, std::shared_ptr<Peer> peer);

  // connection.cc: reading and waiting.
  void Run();
  Step MakeStep();
  void WaitFor(boost::asio::ip::tcp::socket::wait_type type);
  Step Handshake();
  Step ReadHead();
  Step ReadBody();
  Step ReadStream();
  Step Await();
  Step Linger();
  void BeginHead();
  void OnHead();
  void OnBadHead(const Error& error);
  void RouteRequest();
  void BeginInterim();
  void BeginStream(bool wants_interim);
  void BeginBody(const Route& route);
  void Dispatch(const Route& route);
  void DispatchToWorker(const Route& route);
  Responder MakeResponder();
  // What to wait for after `outcome`; closes on end and fault.
  Step After(TlsSession::Outcome outcome);
  void Fault(ErrorCode code, std::string detail);
  void Close();
  void SetDeadline(std::chrono::milliseconds timeout) { deadline_ms_ = IoThread::NowMs() + timeout.count(); }

  // answer.cc: writing.
  void Answer(Response response);
  void Park(Parked parked);
  void PrepareFile(Response& response, FileBody file);
  void PrepareText(Response& response);
  void AppendResponseHead(const Response& response, uint64_t content_length);
  void BeginWrite();
  Step Write();
  // True once `bytes` are all written; else `step` says what to wait for.
  bool WriteOut(std::string_view bytes, size_t& done, Step& step);
  bool MayGoOn();
  bool FillFileBuffer();
  void EndExchange();
  void BeginLinger();

  IoThread& thread_;
  boost::asio::ip::tcp::socket socket_;
  std::unique_ptr<TlsSession> tls_;
  std::shared_ptr<Peer> peer_;
  State state_ = State::kHandshake;
  int64_t deadline_ms_ = 0;
  bool is_running_ = false;
  bool waits_read_ = false;
  bool waits_write_ = false;

  std::string input_;  // received, not yet read by the parser
  HeadParser parser_;
  Request request_;
  Exchange exchange_;
  bool has_head_bytes_ = false;
  bool has_just_answered_ = false;  // the peer has hardly sent the next request yet: wait before the first read
  bool has_unread_body_ = false;
  const Route* route_ = nullptr;
  std::shared_ptr<BodyPipe> pipe_;
  uint64_t body_left_ = 0;  // kStream: not yet fed
  std::function<Response()> on_park_timeout_;

  std::string output_;  // head and small body
  size_t output_done_ = 0;
  bool is_interim_ = false;  // output_ is 100 Continue; the body follows
  std::string text_;
  std::shared_ptr<const std::string> shared_text_;
  size_t text_done_ = 0;
  std::shared_ptr<const OpenedFile> file_;
  uint64_t file_position_ = 0;
  uint64_t file_left_ = 0;
  uint64_t file_offset_ = 0;
  std::function<bool()> may_go_on_;
  std::function<void(uint64_t)> on_file_sent_;
  std::chrono::steady_clock::time_point file_judged_;
  std::string file_buffer_;
  size_t file_buffer_done_ = 0;
  size_t linger_left_ = 0;
};

}  // namespace fleetseal::http
