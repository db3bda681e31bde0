// A datagram of answers, each given to the caller or, if it is of netlink itself, understood here.
#include <libmnl/libmnl.h>

#include <cerrno>

namespace {

int Fail(int error) {
  errno = error;
  return MNL_CB_ERROR;
}

// NLMSG_ERROR carries the errno of the request, negative; 0 acknowledges.
int OnError(const nlmsghdr* nlh) {
  const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(nlh));
  if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(nlmsgerr)) return Fail(EBADMSG);
  errno = error->error < 0 ? -error->error : error->error;
  return error->error == 0 ? MNL_CB_STOP : MNL_CB_ERROR;
}

int OnControl(const nlmsghdr* nlh) {
  switch (nlh->nlmsg_type) {
    case NLMSG_ERROR:
      return OnError(nlh);
    case NLMSG_DONE:
      return MNL_CB_STOP;
    default:
      return MNL_CB_OK;
  }
}

}  // namespace

extern "C" int mnl_cb_run(const void* buf, size_t numbytes, unsigned int seq, unsigned int portid, mnl_cb_t cb_data,
                          void* data) {
  int result = MNL_CB_OK, left = static_cast<int>(numbytes);
  for (const auto* nlh = static_cast<const nlmsghdr*>(buf); mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
    // 0 on either side: a notification, or a caller that does not care.
    if (nlh->nlmsg_pid != 0 && portid != 0 && nlh->nlmsg_pid != portid) return Fail(ESRCH);
    if (nlh->nlmsg_seq != 0 && seq != 0 && nlh->nlmsg_seq != seq) return Fail(EPROTO);
    if ((nlh->nlmsg_flags & NLM_F_DUMP_INTR) != 0) return Fail(EINTR);
    if (nlh->nlmsg_type < NLMSG_MIN_TYPE) {
      result = OnControl(nlh);
    } else if (cb_data != nullptr) {
      result = cb_data(nlh, data);
    }
    if (result <= MNL_CB_STOP) break;
  }
  return result;
}
