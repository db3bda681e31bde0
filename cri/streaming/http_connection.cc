#include "cri/streaming/http_connection.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "cri/streaming/spdy_forward.h"
#include "cri/streaming/spdy_remote.h"
#include "cri/streaming/upgrade.h"
#include "cri/streaming/websocket.h"
#include "cri/streaming/ws_sessions.h"

namespace wherry::streaming {
namespace {

namespace http = boost::beast::http;

constexpr size_t kMaxHead = 16 << 10;
constexpr std::chrono::seconds kLinger(5);

class HttpConnection final : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(Context& context, Tokens& tokens, std::unique_ptr<Transport> transport, HttpEvents events)
      : context_(context),
        tokens_(tokens),
        transport_(std::move(transport)),
        events_(std::move(events)),
        timer_(context.io),
        buffer_(kMaxHead, '\0') {}

  void Start() {
    Limit(context_.creation);
    Read();
  }

 private:
  // The connection is closed when this has passed.
  void Limit(std::chrono::milliseconds time) {
    timer_.expires_after(time);
    timer_.async_wait([self = shared_from_this()](error_code error) {
      if (!error && self->transport_ != nullptr) self->End();
    });
  }

  void End() {
    if (transport_ != nullptr) transport_->Close();
    timer_.cancel();
    if (events_.on_end) std::exchange(events_.on_end, nullptr)();
  }

  void Read() {
    transport_->ReadSome(asio::buffer(&buffer_[filled_], buffer_.size() - filled_),
                         [self = shared_from_this()](error_code error, size_t bytes) {
                           if (error) return self->End();
                           self->filled_ += bytes;
                           self->OnBytes();
                         });
  }

  void OnBytes() {
    const size_t end = buffer_.substr(0, filled_).find("\r\n\r\n");
    if (end == std::string::npos) {
      if (filled_ < buffer_.size()) return Read();
      return Refuse({Answer::How::kRefuse, "", 400, "the request's head is longer than 16 KiB", ""});
    }
    http::request_parser<http::empty_body> parser;
    parser.header_limit(kMaxHead);
    parser.eager(false);
    error_code error;
    parser.put(asio::buffer(buffer_.data(), end + 4), error);
    if (error || !parser.is_header_done())
      return Refuse({Answer::How::kRefuse, "", 400, absl::StrCat("no HTTP/1 request: ", error.message()), ""});
    head_bytes_ = end + 4;
    OnRequest(parser.get());
  }

  static std::string Joined(const http::request<http::empty_body>& request, boost::beast::string_view name) {
    std::string out;
    const auto [first, last] = request.equal_range(name);
    for (auto it = first; it != last; ++it) absl::StrAppend(&out, out.empty() ? "" : ",", std::string(it->value()));
    return out;
  }

  void OnRequest(const http::request<http::empty_body>& request) {
    Head head{std::string(request.method_string()),
              std::string(request.target()),
              Joined(request, "Connection"),
              Joined(request, "Upgrade"),
              Joined(request, "X-Stream-Protocol-Version"),
              Joined(request, "Sec-WebSocket-Protocol")};
    Kind kind;
    std::string token;
    if (!ParseTarget(head.target, &kind, &token))
      return Refuse({Answer::How::kRefuse, "", 404, "NotFound: there is nothing here", ""});
    if (head.method != "GET" && head.method != "POST")
      return Refuse({Answer::How::kRefuse, "", 405, "only GET and POST", "Allow: GET, POST\r\n"});
    absl::StatusOr<Request> wanted = tokens_.Take(token);
    if (wanted.ok() && wanted->kind != kind) wanted = absl::NotFoundError("NotFound: this URL was for something else");
    if (!wanted.ok()) return Refuse({Answer::How::kRefuse, "", 404, std::string(wanted.status().message()), ""});
    Answer answer = Negotiate(kind, head);
    if (answer.how == Answer::How::kRefuse) return Refuse(answer);
    wanted_ = *std::move(wanted);
    if (answer.how == Answer::How::kSpdy) return UpgradeToSpdy(answer.protocol);
    if (answer.how == Answer::How::kWebSocket && kind == Kind::kPortForward && wanted_.ports.empty())
      return Refuse(
          {Answer::How::kRefuse, "", 400, "port-forward over WebSocket channels needs ports in the request", ""});
    UpgradeToWebSocket(std::move(answer));
  }

  void UpgradeToSpdy(const std::string& protocol) {
    Write(absl::StrCat("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
                       "X-Stream-Protocol-Version: ",
                       protocol, "\r\n\r\n"),
          [this, protocol] {
            AnyStream stream(context_.io, std::move(transport_));
            stream.PutBack(buffer_.substr(head_bytes_, filled_ - head_bytes_));
            std::unique_ptr<Transport> transport = stream.ReleaseTransport();
            if (wanted_.kind == Kind::kPortForward)
              return Become(ServeSpdyForward(context_, std::move(transport), wanted_.id));
            const int version = protocol[0] == 'v' ? protocol[1] - '0' : 1;
            Become(ServeSpdyRemote(context_, std::move(transport), std::move(wanted_), version));
          });
  }

  void UpgradeToWebSocket(Answer answer) {
    std::shared_ptr<WebSocket> socket = WebSocket::Make(context_.io, std::move(transport_));
    // Beast knows WebSockets as requests by GET only, while Kubernetes' clients also POST.
    std::string head = buffer_.substr(0, filled_);
    if (head.compare(0, 5, "POST ") == 0) head.replace(0, 4, "GET");
    timer_.cancel();
    auto accepted = [self = shared_from_this(), socket, answer](error_code error, size_t) {
      if (error) {
        socket->Abort();
        return self->End();
      }
      Context& context = self->context_;
      if (answer.how == Answer::How::kTunnel)
        return self->Become(ServeSpdyForward(context, WebSocketTunnel(socket), self->wanted_.id));
      if (self->wanted_.kind == Kind::kPortForward)
        return self->Become(ServeWsForward(context, socket, self->wanted_, answer.protocol));
      self->Become(ServeWsRemote(context, socket, std::move(self->wanted_), answer.protocol));
    };
    socket->Accept(head, answer.protocol, std::move(accepted));
  }

  void Become(std::shared_ptr<Stoppable> session) {
    timer_.cancel();
    events_.on_session(std::move(session));
    End();
  }

  // Writes all, then goes on.
  void Write(std::string text, std::function<void()> then) {
    out_ = std::move(text);
    written_ = 0;
    then_ = std::move(then);
    WriteRest();
  }
  void WriteRest() {
    transport_->WriteSome({asio::buffer(out_) + written_}, [self = shared_from_this()](error_code error, size_t bytes) {
      if (error) return self->End();
      self->written_ += bytes;
      if (self->written_ < self->out_.size()) return self->WriteRest();
      std::exchange(self->then_, nullptr)();
    });
  }

  void Refuse(const Answer& answer) {
    Write(Render(answer), [this] {
      transport_->ShutdownWrite();
      Limit(kLinger);
      Discard();
    });
  }
  // Until the client hangs up: closing with unread bytes could take the answer from it.
  void Discard() {
    transport_->ReadSome(asio::buffer(buffer_), [self = shared_from_this()](error_code error, size_t) {
      return error ? self->End() : self->Discard();
    });
  }

  Context& context_;
  Tokens& tokens_;
  std::unique_ptr<Transport> transport_;
  HttpEvents events_;
  asio::steady_timer timer_;
  std::string buffer_;
  size_t filled_ = 0, head_bytes_ = 0;
  Request wanted_;
  std::string out_;
  size_t written_ = 0;
  std::function<void()> then_;
};

}  // namespace

void ServeHttp(Context& context, Tokens& tokens, std::unique_ptr<Transport> transport, HttpEvents events) {
  std::make_shared<HttpConnection>(context, tokens, std::move(transport), std::move(events))->Start();
}

}  // namespace wherry::streaming
