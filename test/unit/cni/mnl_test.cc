// cni/mnl against the library that it stands for: the same calls with the same bytes, sound and broken, have the same answers.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

namespace wherry::cni_test {
namespace {

constexpr int kRounds = 20'000;
constexpr size_t kBytes = 256;

class MnlTest : public testing::Test {
 protected:
  void SetUp() override {
    library_ = dlopen("libmnl.so.0", RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library_, nullptr) << dlerror();
  }
  ~MnlTest() override {
    if (library_ != nullptr) dlclose(library_);
  }

  // The library's function of the name, of ours' type.
  template <typename Function>
  Function* Theirs(Function&, const char* name) {
    void* found = dlsym(library_, name);
    EXPECT_NE(found, nullptr) << name;
    return reinterpret_cast<Function*>(found);
  }
  size_t Random(size_t below) { return std::uniform_int_distribution<size_t>(0, below - 1)(random_); }

  // Bytes in which lengths and types are often, but not always, plausible.
  void Fill(char* bytes, size_t size) {
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(Random(3) == 0 ? 0 : Random(256));
    for (size_t at = 0; at + sizeof(nlattr) <= size;) {
      nlattr attr{static_cast<uint16_t>(Random(24)),
                  static_cast<uint16_t>(Random(4) == 0 ? 0x8000 | Random(8) : Random(8))};
      std::memcpy(bytes + at, &attr, sizeof attr);
      at += std::max<size_t>(sizeof attr, MNL_ALIGN(attr.nla_len));
    }
  }

  std::mt19937 random_{7};

 private:
  void* library_ = nullptr;
};

// The result, and errno if that says that there is one.
template <typename Function>
std::pair<int, int> Answer(const Function& function) {
  errno = 0;
  const int result = function();
  return {result, result < 0 ? errno : 0};
}

#define THEIRS(function) Theirs(function, #function)

TEST_F(MnlTest, MessagesAreBuiltAlike) {
  const auto put = THEIRS(mnl_attr_put);
  const auto put8 = THEIRS(mnl_attr_put_u8);
  const auto put16 = THEIRS(mnl_attr_put_u16);
  const auto put32 = THEIRS(mnl_attr_put_u32);
  const auto put64 = THEIRS(mnl_attr_put_u64);
  const auto put_str = THEIRS(mnl_attr_put_str), put_strz = THEIRS(mnl_attr_put_strz);
  const auto nest = THEIRS(mnl_attr_nest_start);
  const auto nest_end = THEIRS(mnl_attr_nest_end);
  const auto header = THEIRS(mnl_nlmsg_put_header);
  const auto extra = THEIRS(mnl_nlmsg_put_extra_header);
  for (int round = 0; round < kRounds / 10; ++round) {
    alignas(8) std::array<char, 4096> a{}, b{};  // the library leaves padding as it was, which here is zeroes
    nlmsghdr *ours = mnl_nlmsg_put_header(a.data()), *theirs = header(b.data());
    std::vector<std::pair<nlattr*, nlattr*>> nests;
    for (size_t step = 0; step < 20; ++step) {
      const uint16_t type = static_cast<uint16_t>(Random(64));
      const std::string text(Random(30), 'x');
      switch (Random(10)) {
        case 0:
          mnl_attr_put(ours, type, text.size(), text.data()), put(theirs, type, text.size(), text.data());
          break;
        case 1:
          mnl_attr_put_u8(ours, type, 250), put8(theirs, type, 250);
          break;
        case 2:
          mnl_attr_put_u16(ours, type, 65000), put16(theirs, type, 65000);
          break;
        case 3:
          mnl_attr_put_u32(ours, type, 1U << 31), put32(theirs, type, 1U << 31);
          break;
        case 4:
          mnl_attr_put_u64(ours, type, 1ULL << 63), put64(theirs, type, 1ULL << 63);
          break;
        case 5:
          mnl_attr_put_str(ours, type, text.c_str()), put_str(theirs, type, text.c_str());
          break;
        case 6:
          mnl_attr_put_strz(ours, type, text.c_str()), put_strz(theirs, type, text.c_str());
          break;
        case 7:
          nests.emplace_back(mnl_attr_nest_start(ours, type), nest(theirs, type));
          break;
        case 8:
          if (nests.empty()) break;
          mnl_attr_nest_end(ours, nests.back().first), nest_end(theirs, nests.back().second);
          nests.pop_back();
          break;
        default:
          mnl_nlmsg_put_extra_header(ours, text.size()), extra(theirs, text.size());
          break;
      }
    }
    for (auto& [our_nest, their_nest] : nests) mnl_attr_nest_end(ours, our_nest), nest_end(theirs, their_nest);
    ASSERT_EQ(ours->nlmsg_len, theirs->nlmsg_len);
    const auto end = a.begin() + ours->nlmsg_len;
    ASSERT_EQ(std::mismatch(a.begin(), end, b.begin()).first - a.begin(), ours->nlmsg_len) << "round " << round;
    EXPECT_EQ(mnl_nlmsg_get_payload_len(ours), THEIRS(mnl_nlmsg_get_payload_len)(ours));
    EXPECT_EQ(mnl_nlmsg_get_payload_offset(ours, 5), THEIRS(mnl_nlmsg_get_payload_offset)(ours, 5));
  }
}

TEST_F(MnlTest, AttributesAreReadAlike) {
  const auto ok = THEIRS(mnl_attr_ok);
  const auto next = THEIRS(mnl_attr_next);
  const auto valid = THEIRS(mnl_attr_validate);
  const auto type_valid = THEIRS(mnl_attr_type_valid);
  for (int round = 0; round < kRounds; ++round) {
    alignas(8) std::array<char, kBytes> bytes;
    Fill(bytes.data(), bytes.size());
    const auto* attr = reinterpret_cast<const nlattr*>(bytes.data());
    const int length = static_cast<int>(Random(32)) - 4;
    ASSERT_EQ(mnl_attr_ok(attr, length), ok(attr, length));
    if (!mnl_attr_ok(attr, kBytes)) continue;
    ASSERT_EQ(mnl_attr_next(attr), next(attr));
    ASSERT_EQ(mnl_attr_get_type(attr), THEIRS(mnl_attr_get_type)(attr));
    ASSERT_EQ(mnl_attr_get_payload_len(attr), THEIRS(mnl_attr_get_payload_len)(attr));
    ASSERT_EQ(mnl_attr_get_u8(attr), THEIRS(mnl_attr_get_u8)(attr));
    ASSERT_EQ(mnl_attr_get_u16(attr), THEIRS(mnl_attr_get_u16)(attr));
    ASSERT_EQ(mnl_attr_get_u32(attr), THEIRS(mnl_attr_get_u32)(attr));
    ASSERT_EQ(mnl_attr_get_u64(attr), THEIRS(mnl_attr_get_u64)(attr));
    ASSERT_EQ(mnl_attr_get_str(attr), THEIRS(mnl_attr_get_str)(attr));
    for (int type = 0; type <= MNL_TYPE_MAX; ++type) {
      const auto of = static_cast<mnl_attr_data_type>(type);
      ASSERT_EQ(Answer([&] { return mnl_attr_validate(attr, of); }), Answer([&] { return valid(attr, of); }))
          << "type " << type << ", length " << attr->nla_len;
    }
    const auto max = static_cast<uint16_t>(Random(8));
    ASSERT_EQ(Answer([&] { return mnl_attr_type_valid(attr, max); }), Answer([&] { return type_valid(attr, max); }));
  }
}

// What was called with what, and when it says stop.
struct Calls {
  std::vector<const void*> seen{};
  size_t stop_after = 0;
  int with = MNL_CB_STOP;
  static int On(const void* what, void* data) {
    auto& calls = *static_cast<Calls*>(data);
    calls.seen.push_back(what);
    return calls.seen.size() > calls.stop_after ? calls.with : MNL_CB_OK;
  }
  static int OnAttribute(const nlattr* attr, void* data) { return On(attr, data); }
  static int OnMessage(const nlmsghdr* message, void* data) { return On(message, data); }
};

TEST_F(MnlTest, NestsAndMessagesAreWalkedAlike) {
  const auto parse = THEIRS(mnl_attr_parse);
  const auto parse_nested = THEIRS(mnl_attr_parse_nested);
  for (int round = 0; round < kRounds; ++round) {
    alignas(8) std::array<char, kBytes> bytes;
    Fill(bytes.data(), bytes.size());
    auto* message = reinterpret_cast<nlmsghdr*>(bytes.data());
    Fill(bytes.data() + sizeof *message, kBytes - sizeof *message);
    message->nlmsg_len = static_cast<uint32_t>(sizeof *message + Random(kBytes - sizeof *message - 4));
    Calls ours{.stop_after = Random(6), .with = static_cast<int>(Random(2)) - 1}, theirs = ours;
    const unsigned offset = static_cast<unsigned>(Random(12));
    ASSERT_EQ(mnl_attr_parse(message, offset, Calls::OnAttribute, &ours),
              parse(message, offset, Calls::OnAttribute, &theirs));
    ASSERT_EQ(ours.seen, theirs.seen);
    auto* nest = reinterpret_cast<nlattr*>(bytes.data() + sizeof *message);
    nest->nla_len = static_cast<uint16_t>(4 + Random(100));
    ASSERT_EQ(mnl_attr_parse_nested(nest, Calls::OnAttribute, &ours), parse_nested(nest, Calls::OnAttribute, &theirs));
    ASSERT_EQ(ours.seen, theirs.seen);
  }
}

TEST_F(MnlTest, DatagramsAreJudgedAlike) {
  const auto run = THEIRS(mnl_cb_run);
  const auto ok = THEIRS(mnl_nlmsg_ok);
  const auto next = THEIRS(mnl_nlmsg_next);
  int refused = 0;
  for (int round = 0; round < kRounds; ++round) {
    alignas(8) std::array<char, kBytes> bytes{};
    size_t size = 0;
    while (size + sizeof(nlmsghdr) + 40 < kBytes && Random(5) != 0) {
      nlmsghdr message{.nlmsg_len = static_cast<uint32_t>(Random(10) == 0 ? Random(16) : 16 + Random(40)),
                       .nlmsg_type = static_cast<uint16_t>(Random(2) == 0 ? 16 + Random(4) : Random(6)),
                       .nlmsg_flags = static_cast<uint16_t>(Random(12) == 0 ? NLM_F_DUMP_INTR : 0),
                       .nlmsg_seq = static_cast<uint32_t>(Random(12) == 0 ? 9 : Random(2)),
                       .nlmsg_pid = static_cast<uint32_t>(Random(12) == 0 ? 9 : Random(2))};
      std::memcpy(&bytes[size], &message, sizeof message);
      const int32_t error = static_cast<int32_t>(Random(3)) - 1;
      std::memcpy(&bytes[size + sizeof message], &error, sizeof error);
      size += MNL_ALIGN(std::max<size_t>(16, message.nlmsg_len));
    }
    size = std::min(size, kBytes) - Random(std::min<size_t>(size + 1, 6));
    const auto* first = reinterpret_cast<const nlmsghdr*>(bytes.data());
    int our_left = static_cast<int>(size), their_left = our_left;
    ASSERT_EQ(mnl_nlmsg_ok(first, our_left), ok(first, our_left));
    ASSERT_EQ(mnl_nlmsg_next(first, &our_left), next(first, &their_left));
    ASSERT_EQ(our_left, their_left);
    Calls ours{.stop_after = Random(6), .with = static_cast<int>(Random(2)) - 1}, theirs = ours;
    const unsigned seq = static_cast<unsigned>(Random(2)), port = static_cast<unsigned>(Random(2));
    const auto answer = Answer([&] { return mnl_cb_run(bytes.data(), size, seq, port, Calls::OnMessage, &ours); });
    ASSERT_EQ(answer, Answer([&] { return run(bytes.data(), size, seq, port, Calls::OnMessage, &theirs); })) << round;
    ASSERT_EQ(ours.seen, theirs.seen) << round;
    refused += answer.first == MNL_CB_ERROR ? 1 : 0;
  }
  EXPECT_GT(refused, kRounds / 20);
}

TEST_F(MnlTest, BatchesFillAlike) {
  const auto start = THEIRS(mnl_nlmsg_batch_start);
  const auto next = THEIRS(mnl_nlmsg_batch_next);
  for (int round = 0; round < kRounds / 100; ++round) {
    alignas(8) std::array<char, 2 * kBytes> a{}, b{};
    mnl_nlmsg_batch *ours = mnl_nlmsg_batch_start(a.data(), kBytes), *theirs = start(b.data(), kBytes);
    EXPECT_EQ(mnl_nlmsg_batch_head(ours), a.data());
    bool more = true;
    while (more) {
      EXPECT_EQ(mnl_nlmsg_batch_is_empty(ours), THEIRS(mnl_nlmsg_batch_is_empty)(theirs));
      const size_t size = Random(60);
      mnl_nlmsg_put_extra_header(mnl_nlmsg_put_header(mnl_nlmsg_batch_current(ours)), size);
      mnl_nlmsg_put_extra_header(mnl_nlmsg_put_header(THEIRS(mnl_nlmsg_batch_current)(theirs)), size);
      more = mnl_nlmsg_batch_next(ours);
      ASSERT_EQ(more, next(theirs));
      ASSERT_EQ(mnl_nlmsg_batch_size(ours), THEIRS(mnl_nlmsg_batch_size)(theirs));
    }
    EXPECT_EQ(std::memcmp(a.data(), b.data(), mnl_nlmsg_batch_size(ours)), 0);
    mnl_nlmsg_batch_stop(ours);
    THEIRS(mnl_nlmsg_batch_stop)(theirs);
  }
}

TEST_F(MnlTest, ADatagramThatIsCutOffIsAnError) {
  mnl_socket* socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
  ASSERT_NE(socket, nullptr);
  ASSERT_EQ(mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID), 0);
  EXPECT_NE(mnl_socket_get_portid(socket), 0U);
  alignas(8) std::array<char, 64> bytes{};
  nlmsghdr* request = mnl_nlmsg_put_header(bytes.data());
  request->nlmsg_type = 0x7fff;  // nothing: the answer is an error with the request in it
  request->nlmsg_flags = NLM_F_REQUEST;
  ASSERT_EQ(mnl_socket_sendto(socket, request, request->nlmsg_len), static_cast<ssize_t>(request->nlmsg_len));
  EXPECT_EQ(mnl_socket_recvfrom(socket, bytes.data(), 20), -1);
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_EQ(mnl_socket_close(socket), 0);
}

}  // namespace
}  // namespace wherry::cni_test
